"""A fuzzer that is guided by coverage: ``python -m tests.ingest.guided_fuzzing SECONDS FOLDER``.

It ends the process by itself: 0 if nothing was found, else with the finding on standard error.
"""

import sys
from pathlib import Path

import atheris
import msgspec

with atheris.instrument_imports(include=["services.ingest"]):
    from tests.ingest.fuzzed_doors import check, targets

TARGETS = list(targets().values())
BODY_BYTES_MAX = 4_096


def check_bytes(data: bytes) -> None:
    """Take the first byte for the provider, the second for the shape, the rest for the body."""
    if len(data) < 2:
        return
    target = TARGETS[data[0] % len(TARGETS)]
    seed = target.seeds[data[1] % len(target.seeds)]
    if data[1] & 0x80 and "GET" in target.provider.methods:
        query = data[2:].decode("latin-1")
        check(target, msgspec.structs.replace(seed, method="GET", query=query, body=b""))
    else:
        check(target, msgspec.structs.replace(seed, body=data[2:]))


def main() -> None:
    """Fuzz for some seconds, from the seeds and the words of every provider."""
    seconds, folder = sys.argv[1], Path(sys.argv[2])
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    words = set()
    for number, target in enumerate(TARGETS):
        words |= set(target.words)
        for place, seed in enumerate(target.seeds):
            content = seed.body or seed.query.encode()
            (corpus / f"{number}-{place}").write_bytes(bytes([number, place]) + content)
    dictionary = folder / "words"
    plain = sorted(word for word in words if word.isascii() and word.isprintable())
    lines = [word.replace("\\", "\\\\").replace('"', '\\"') for word in plain]
    dictionary.write_text("".join(f'"{line}"\n' for line in lines))
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={seconds}",
            f"-max_len={BODY_BYTES_MAX}",
            f"-dict={dictionary}",
            f"-artifact_prefix={folder}/",
            "-print_final_stats=1",
            str(corpus),
        ],
        check_bytes,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
