"""What to do about a column, by the options of the command."""

from tied_tables._column_words import describe_left_out
from tied_tables.columns import Columns

REMEDIES = {
    "as_missing": "use --na {quoted}",
    "as_names": "use --categorical {column}",
    "for_id": "; keep it with --id",
    "leave_out": "use --exclude {column}",
    "mark_missing": "use --na for a value that means missing",
    "order_dates": "use --dates dmy or --dates mdy",
    "reread": "use --na {quoted}, --categorical {column} or --exclude {column}",
    "use_comma": "use --decimal ,",
}


def explain_left_out(columns: Columns) -> list[str]:
    """Return each column that is not used, with the reason."""
    reasons = describe_left_out(columns, REMEDIES)
    return [f"{name} ({reason})" for name, reason in reasons.items()]
