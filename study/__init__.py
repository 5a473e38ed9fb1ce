"""Ask people which pictures look better: folders of pictures → a page; answers → rates.

In: one folder of pictures per class (phone, DSLR, enhanced, …). Out: a page that works
without a network, `key.json` that says whose picture is which, and, from the files that
participants save, preference rates, a ranking and mean opinion scores.

Reading order: `make` makes a study with `scenes` (folders of pictures), `questions`
(who is compared with whom), `page` and `templates/`; `key` stays with the researcher.
`collect` reads `answers`, computes `results` with `preference`, `bradley_terry` and
`mean_opinion`, draws the `chart`; `terminal_summary` prints both.
"""

from typing import TYPE_CHECKING

from dped_build.workspace.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from dped_build.study.collect import collect_answers
    from dped_build.study.make import make_study
    from dped_build.study.settings import CollectSettings, StudySettings

__all__ = ["CollectSettings", "StudySettings", "collect_answers", "make_study"]

__getattr__ = lazy_exports(
    __name__,
    {
        "CollectSettings": "settings",
        "StudySettings": "settings",
        "collect_answers": "collect",
        "make_study": "make",
    },
)
