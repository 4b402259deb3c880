"""What to do about a column of a frame, where `_column_words` names a remedy."""

REMEDIES = {
    "as_missing": "replace it with a missing value",
    "as_names": "name the column in categorical_features",
    "for_id": "",
    "leave_out": "drop the column",
    "mark_missing": "replace it with a missing value",
    "order_dates": "convert it to dates",
    "reread": "name it in categorical_features",
    "use_comma": "convert it to numbers",
}
