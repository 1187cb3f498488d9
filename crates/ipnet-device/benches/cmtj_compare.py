#!/usr/bin/env python3
"""The macrospin beside cmtj (PyPI): same spin, field and current.

1. Zero noise: both trajectories with Heun at the same step; largest distance between them over the record.
2. Time per trajectory and step on one core with thermal noise and without, both with Heun: CPU time of the process for a long run less a short
   one, so that start-up does not count. Each pair of runs is repeated and the median ratio is printed, with both times.

cmtj takes fields in A/m and Ms in T; its physical constants are set to those of ipnet-device, so that a difference is the integrator's.

    cargo build --release -p ipnet-device --example macrospin_run
    python crates/ipnet-device/benches/cmtj_compare.py target/release/examples/macrospin_run
"""

import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import version

import cmtj
from cmtj import AxialDriver, CVector, Junction, Layer, NullDriver, SolverMode, constantDriver

GAMMA, MU_0 = 1.76085963023e11, 1.25663706212e-6
HBAR, E_CHARGE, K_B = 1.054571817e-34, 1.602176634e-19, 1.380649e-23
ALPHA, B_X_T, K_Z_T, TORQUE_T = 0.1, 0.01, 0.05, 0.002
MS_A_PER_M, THICKNESS_M, AREA_M2 = 1.0e6, 1.5e-9, 2.0e-15
MOMENT = MS_A_PER_M * THICKNESS_M * AREA_M2
DT_S = 1e-12


def set_constants():
    constants = cmtj.constants.PhysicalConstants
    constants.set_gyromagnetic_ratio(GAMMA * MU_0)
    constants.set_magnetic_permeability(MU_0)
    constants.set_hbar(HBAR)
    constants.set_elementary_charge(E_CHARGE)
    constants.set_boltzmann_constant(K_B)


def junction(temperature_k):
    ms_t = MU_0 * MS_A_PER_M
    # cmtj: damping-like field = hbar J eta / (e Ms d), along m x (m x reference), with Slonczewski's eta = P / 2 for its parameter 1; and
    # beta of it field-like: beta = alpha makes it the Gilbert equation with a damping-like torque alone.
    polarisation = 0.3
    current = TORQUE_T / MU_0 * E_CHARGE * ms_t * THICKNESS_M / (HBAR * 0.5 * polarisation)
    layer = Layer.createSTTLayer(
        "free", CVector(0.6, 0, 0.8), CVector(0, 0, 1), ms_t, THICKNESS_M, AREA_M2, [CVector(0, 0, 0)] * 3,
        ALPHA, 1.0, ALPHA, polarisation,
    )
    layer.setReferenceLayer(CVector(0, 0, -1))
    device = Junction([layer])
    device.setLayerAnisotropyDriver("free", constantDriver(0.5 * K_Z_T / MU_0 * ms_t))
    field = AxialDriver(constantDriver(B_X_T / MU_0), NullDriver(), NullDriver())
    device.setLayerExternalFieldDriver("free", field)
    device.setLayerCurrentDriver("free", constantDriver(current))
    if temperature_k:
        device.setLayerTemperatureDriver("free", constantDriver(temperature_k))
    return device


def ours(program, temperature_k, steps, spins, records):
    numbers = [ALPHA, B_X_T, 0, 0, K_Z_T, TORQUE_T, MOMENT, temperature_k, DT_S, steps, spins, records]
    environment = dict(os.environ, RAYON_NUM_THREADS="1")
    run = subprocess.run([program, *map(repr, numbers)], capture_output=True, text=True, check=True, env=environment)
    return [tuple(map(float, line.split(","))) for line in run.stdout.splitlines()[1:]]


def zero_noise(program, steps=5000, records=500):
    every = steps // records
    device = junction(0)
    device.runSimulation(steps * DT_S, DT_S, every * DT_S, solverMode=SolverMode.Heun)
    log = device.getLog()
    theirs = list(zip(log["time"], log["free_mx"], log["free_my"], log["free_mz"]))
    # cmtj may log at the start or the end of a step: its record is matched to ours at the offset it has at the first rows.
    mine = {round(row[0] / DT_S): row[1:] for row in ours(program, 0, steps, 1, steps)}
    best = None
    for offset in (0, 1):
        gaps = [math.dist(row[1:], mine[n]) for row in theirs if (n := round(row[0] / DT_S) + offset) in mine]
        if gaps and (best is None or max(gaps) < best["largest_distance"]):
            best = {"records": len(gaps), "offset_steps": offset, "largest_distance": max(gaps)}
    return best


def our_ns(program, temperature_k, spins=64):
    def cpu(steps):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        ours(program, temperature_k, steps, spins, 1)
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before

    short, long = 10_000, 110_000
    return (cpu(long) - cpu(short)) / ((long - short) * spins) * 1e9


def their_ns(temperature_k, solver):
    def cpu(steps):
        device = junction(temperature_k)
        before = time.process_time()
        device.runSimulation(steps * DT_S, DT_S, steps * DT_S, solverMode=solver)
        return time.process_time() - before

    short, long = 10_000, 210_000
    return (cpu(long) - cpu(short)) / (long - short) * 1e9


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program = sys.argv[1]
    set_constants()
    result = {
        "cmtj": version("cmtj"),
        "python": platform.python_version(),
        "program": os.path.basename(program),
        "cpu": next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?"),
        "zero_noise": zero_noise(program),
    }
    for name, temperature_k, solver in [
        ("thermal, Heun", 300, SolverMode.Heun),
        ("thermal, Euler-Heun of cmtj", 300, SolverMode.EulerHeun),
        ("zero noise, Heun", 0, SolverMode.Heun),
    ]:
        pairs = [(our_ns(program, temperature_k), their_ns(temperature_k, solver)) for _ in range(5)]
        result[name] = {
            "ipnet_ns_per_step": round(statistics.median(a for a, _ in pairs), 2),
            "cmtj_ns_per_step": round(statistics.median(b for _, b in pairs), 1),
            "ratio": round(statistics.median(b / a for a, b in pairs), 2),
            "ratios": [round(b / a, 2) for a, b in pairs],
        }
    print(json.dumps(result, indent=2))
    best = result["zero_noise"]
    if best is None or best["largest_distance"] > 1e-6:
        sys.exit("the zero-noise trajectories differ")


if __name__ == "__main__":
    main()
