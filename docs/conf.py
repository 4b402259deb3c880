"""How Sphinx builds the documentation: `python -m sphinx -W --keep-going docs site`.

The galleries run the scripts of `examples/tutorials` and `examples/gallery`, and the reference is
made from the docstrings, which are Markdown. It builds without a network, too.
"""

import os
import sys
from pathlib import Path

import keras_tied

os.environ.setdefault("KERAS_BACKEND", "jax")
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

from inventories import map_projects  # noqa: E402

project = "keras-tied and tied-tables"
author = copyright = "The keras-tied developers"
release = version = keras_tied.__version__
html_title = "keras-tied · tied-tables"
html_baseurl = "https://keras-tied.github.io/keras-tied/"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "docstrings",  # before napoleon, which reads what it gives
    "sphinx.ext.napoleon",
    "sphinx.ext.intersphinx",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx_llms_txt",
    "sphinxext.opengraph",
    "mathml",
    "live_report",
    "mirror_rules",
]
exclude_patterns = [
    "_extensions",
    "_inventories",
    "_live",
    "_static",
    "_templates",
    "Thumbs.db",
    ".DS_Store",
]
templates_path = ["_templates"]
nitpicky = False
suppress_warnings = ["config.cache", "toc"]  # options that are functions; empty folders

myst_enable_extensions = [
    "attrs_inline",
    "colon_fence",
    "deflist",
    "dollarmath",
    "html_image",
]
myst_heading_anchors = 4
html_math_renderer = "mathml"

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings give types, shapes and units in words
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
add_module_names = False
toc_object_entries_show_parents = "hide"
python_use_unqualified_type_names = True

intersphinx_mapping = map_projects(HERE / "_inventories")
intersphinx_timeout = 5

sphinx_gallery_conf = {
    "examples_dirs": ["../examples/tutorials", "../examples/gallery"],
    "gallery_dirs": ["tutorials", "gallery"],
    "backreferences_dir": "reference/backreferences",
    "doc_module": ("keras_tied", "tied_tables"),
    "reference_url": {"keras_tied": None, "tied_tables": None},
    "filename_pattern": r"\.py",
    "ignore_pattern": r"/_",
    "within_subsection_order": "FileNameSortKey",
    "plot_gallery": "True",
    "abort_on_example_error": True,
    "matplotlib_animations": False,
    "min_reported_time": 3600,  # a busy machine says nothing of a script
    "default_thumb_file": str(HERE / "_static" / "tie.png"),
    "parallel": 2,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "write_computation_times": False,
    "first_notebook_cell": '%pip install --quiet "keras-tied[jax]" "tied-tables[cli]"',
}

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_extra_path = ["_live"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_search_scorer = str(HERE / "scorer.js")
html_show_sourcelink = False
ALONE = (
    "index",
    "benchmarks",
    "questions",
    "faq",
    "changelog",
    "contributing",
    "search",
)
html_sidebars = {page: [] for page in ALONE}
html_theme_options = {
    "external_links": [
        {"name": "GitHub", "url": "https://github.com/keras-tied/keras-tied"}
    ],
    "header_links_before_dropdown": 6,
    "collapse_navigation": True,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc", "sg_download_links"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

ogp_site_url = html_baseurl
ogp_image = html_baseurl + "_images/report.png"
ogp_social_cards = {"enable": False}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"
