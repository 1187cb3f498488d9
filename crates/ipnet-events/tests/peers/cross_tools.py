#!/usr/bin/env python3
"""What `ipnet events convert` writes, opened by other people's readers: equal events, or exit code 1.

usage: cross_tools.py IPNET RECORDING

Needs dv-processing, aedat, tonic and h5py. IPNET is the program, built with the feature hdf5; RECORDING is any
recording of a DAVIS346 that it reads. Prints one JSON line per tool.
"""
import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np


def reference(path):
    a = np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.int64, ndmin=2)
    return a[:, 0], a[:, 1], a[:, 2], a[:, 3]


def by_aedat(path):
    import aedat

    a = np.concatenate([p["events"] for p in aedat.Decoder(str(path)) if "events" in p])
    return a["t"], a["x"], a["y"], a["on"]


def by_dv_processing(path):
    import dv_processing as dv

    reader, parts = dv.io.MonoCameraRecording(str(path)), []
    while (batch := reader.getNextEventBatch()) is not None:
        parts.append(batch.numpy())
    a = np.concatenate(parts)
    return a["timestamp"], a["x"], a["y"], a["polarity"]


def by_tonic(path):
    import tonic.io

    # read_dvs_ibm's own call of the header reader unpacks two of three values; its body is this.
    version, start, _ = tonic.io.read_aedat_header_from_file(str(path))
    a = tonic.io.get_aer_events_from_file(str(path), version, start)
    d = a["address"]
    return a["timeStamp"], (d >> 17) & 0x1FFF, (d >> 2) & 0x1FFF, (d >> 1) & 1


def by_h5py(path):
    import h5py

    with h5py.File(path) as f:
        g = f["events"]
        return g["t"][:], g["x"][:], g["y"][:], g["p"][:]


def by_h5py_ddd20(path):
    import h5py

    t, x, y, p = [], [], [], []
    with h5py.File(path) as f:
        rows = f["dvs/data"]
        assert rows.shape[0] == f["dvs/timestamp"].shape[0]
        for host, header, payload in rows[:]:
            assert int(bytes(host)) > 0
            if not len(payload):
                break
            head = np.frombuffer(bytes(header), "<i4", 6, 4)
            if np.frombuffer(bytes(header), "<i2", 1)[0] != 1:
                continue
            a = np.frombuffer(bytes(payload), "<u4").reshape(head[3], -1)
            t.append(a[:, 1].astype(np.int64) + (int(head[2]) << 31))
            x.append(a[:, 0] >> 17), y.append((a[:, 0] >> 2) & 0x7FFF), p.append((a[:, 0] >> 1) & 1)
    return tuple(np.concatenate(v) for v in (t, x, y, p))


TOOLS = [
    ("aedat", "aedat", "r.aedat4", [], by_aedat),
    ("dv-processing", "dv-processing", "r.aedat4", [], by_dv_processing),
    ("tonic", "tonic", "r.aedat", [], by_tonic),
    ("h5py plain", "h5py", "r.h5", [], by_h5py),
    ("h5py ddd20", "h5py", "d.hdf5", ["--to", "ddd20"], by_h5py_ddd20),
]


def main():
    ipnet, recording = sys.argv[1:]
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        run = lambda out, more: subprocess.run(
            [ipnet, "events", "convert", recording, str(folder / out), "--zero", *more], check=True, stderr=subprocess.DEVNULL
        )
        run("r.csv", [])
        want = reference(folder / "r.csv")
        for name, package, out, more, read in TOOLS:
            run(out, more)
            try:
                got = [np.asarray(v).astype(np.int64) for v in read(folder / out)]
                equal = all(np.array_equal(g, w) for g, w in zip(got, want))
                result = {"events": int(len(got[0])), "equal": bool(equal)}
            except Exception as e:  # a tool that refuses the file is a result too
                result = {"equal": False, "error": f"{type(e).__name__}: {e}"}
            bad += not result["equal"]
            print(json.dumps({"tool": name, "version": version(package), "file": out, **result}), flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
