"""Compare the constants in the kernels with what Sollya computes for them (``coefficients.sollya``).

Run as ``python tools/check_coefficients.py``. Exits with 0 if every constant that Sollya prints stands
in the source with that value, and no polynomial there has a coefficient that Sollya does not print; with
1 if they differ; with 2 if Sollya is not installed (https://www.sollya.org, ``apt install sollya``).
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
RECIPE = TOOLS / "coefficients.sollya"
SOURCE = TOOLS.parent / "src" / "fastlogit" / "kernels" / "formulas.pxd"

HEXADECIMAL = r"-?0x[0-9a-f]+(?:\.[0-9a-f]*)?p[+-]?\d+"


def printed_by_sollya(sollya: str) -> tuple[dict[str, float], list[str]]:
    """The constants by name, and the lines that tell the approximation errors."""
    run = subprocess.run(
        [sollya, str(RECIPE)], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    constants = dict(re.findall(rf"^(\w+) ({HEXADECIMAL})$", run.stdout, flags=re.MULTILINE))
    errors = [line for line in run.stdout.splitlines() if line.startswith("error ")]
    return {name: float.fromhex(value) for name, value in constants.items()}, errors


def standing_in_source() -> dict[str, float]:
    defined = re.findall(rf"#define (\w+) ({HEXADECIMAL})f?$", SOURCE.read_text(), flags=re.MULTILINE)
    return {name: float.fromhex(value) for name, value in defined}


def main() -> int:
    sollya = shutil.which("sollya")
    if sollya is None:
        print("not checked: sollya is not installed (https://www.sollya.org, apt install sollya)")
        return 2
    printed, errors = printed_by_sollya(sollya)
    source = standing_in_source()
    # A polynomial coefficient is named LABEL_k; one that the recipe does not know came from elsewhere.
    labels = {re.sub(r"_\d+(_32)?$", "", name) for name in printed if re.search(r"_\d+(_32)?$", name)}
    unknown = [
        name
        for name in source
        if name not in printed and re.fullmatch(rf"({'|'.join(labels)})_\d+(_32)?", name)
    ]
    wrong = [name for name, value in printed.items() if source.get(name) != value]
    for name in wrong:
        stands = source[name].hex() if name in source else "nothing"
        print(f"{name}: Sollya prints {printed[name].hex()}, in the source stands {stands}")
    for name in unknown:
        print(f"{name}: in the source stands {source[name].hex()}, Sollya prints nothing")
    print(f"{len(printed) - len(wrong)} of {len(printed)} constants agree")
    for line in errors:
        label, log2_error, rest = re.fullmatch(r"error (\w+) (\S+) (.*)", line).groups()
        print(f"{label}: error 2^{float(log2_error):.1f}, {rest}")
    return 1 if wrong or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
