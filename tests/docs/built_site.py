"""The built site: `python tests/docs/built_site.py build/site`, as .ci/run does after `mkdocs build --strict`.

Nothing of it is loaded from elsewhere; the pages of the command line, of Python and of the notebook hold what they are
made of; and in a browser that has it from the disk, without a server, the search finds.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from chromium import PROGRAM, Page

from ablate import _PUBLIC as PUBLIC
from ablate.runners.cli.main import _COMMANDS as COMMANDS

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}
"""What a browser fetches by itself. (`a` it follows when asked.)"""
NOT_LOADED = {"canonical", "next", "prev"}
ASKED = {"hypervolume": "search.html", "non_inferior": "claims.html", "learn-from": "reference/commands.html"}


class _Fetched(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in LOADED and given.get("rel") not in NOT_LOADED:
            self.addresses.append(given.get(LOADED[tag]) or "")


def main(folder: str) -> None:
    site = Path(folder).resolve()
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        parser = _Fetched()
        parser.feed(page.read_text())
        away = [address for address in parser.addresses if re.match(r"(https?:)?//", address)]
        assert not away, f"{page.relative_to(site)} loads {away}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", style.read_text()), (
            f"{style.name} loads from elsewhere"
        )
    commands, python = ((site / f"reference/{name}.html").read_text() for name in ("commands", "python"))
    assert not [name for name in COMMANDS if f'id="ablate-{name}' not in commands]
    assert not [name for name in PUBLIC if f"ablate.{name}" not in python]
    assert "from ablate.analysis import frames" in re.sub("<[^>]+>", "", (site / "how-to/notebook.html").read_text())
    found = searched(site) if PROGRAM else "no Chromium here to search in"
    print(f"{len(pages)} pages that load nothing from elsewhere; {found}")


def searched(site: Path) -> str:
    """Ask the search of pages that are opened from the disk, and open them at a phone's width."""
    with Page() as browser:
        for asked, where in ASKED.items():
            browser.open(site / "how-to/gpu.html")
            browser.js("document.querySelector('[data-md-component=search-query]').focus()")
            browser.call("Input.insertText", text=asked)
            browser.call("Input.dispatchKeyEvent", type="keyUp", key=asked[-1])
            links = browser.js(
                "new Promise(done => { const look = n => { const all = [...document.querySelectorAll("
                "'.md-search-result__link')].map(link => link.getAttribute('href')); "
                "all.length || !n ? done(all) : setTimeout(look, 100, n - 1); }; look(50); })"
            )
            assert any(where in link for link in links), f"a search for {asked} finds {links[:5]}, not {where}"
        browser.open(site / "tour.html")
        copied = browser.js(
            "(() => { const code = [...document.querySelectorAll('.highlight code')]"
            ".find(code => code.textContent.includes('ablate plan')); code.setAttribute('data-md-copying', '');"
            "return code.innerText.trim(); })()"
        )
        assert copied == "ablate plan --space pyramid_levels", f"the button copies {copied}"
        for page in ("index.html", "tour.html", "search.html", "reference/commands.html", "reference/python.html"):
            browser.open(site / page, 390, 844, phone=True)
            assert browser.js("document.documentElement.scrollWidth") <= 390, f"{page} is cut at 390 px"
        assert not browser.complaints, browser.complaints
        away = [address for address in browser.requests if not address.startswith(("file:", "data:"))]
        assert not away, f"the pages ask for {away}"
    return f"{len(ASKED)} searches find"


if __name__ == "__main__":
    main(*sys.argv[1:])
