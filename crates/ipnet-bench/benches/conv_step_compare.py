"""The losses of ten training steps, in PyTorch and in `peer_bench`, from equal weights on equal input.

    python conv_step_compare.py path/to/peer_bench [--batch 8] [--steps 16] [--seeds 1]

needs torch. For each network of the kit's `conv_step` (ip, relu, lstm, r2plus1d, lif) it draws weights and
input with PyTorch, writes them as safetensors, runs ten steps (forward, cross-entropy, backward, Adam with 1e-3) in `peer_bench`
(32 bits), in PyTorch with 32 bits and in PyTorch with 64, and prints one JSON line with the three series and the largest
differences; with more seeds than one, a line for each of them. Exit code 1 if ours are more than 1e-4 from PyTorch's of 64 bits.

`ip` is the step law with the constants of the kit's `ip_ops.py` (GAIN .. HEAT), `lif` its LIF; both have the kit's threefold
initial weights. A LIF neuron whose membrane comes within rounding of its threshold fires in one program and not in the other,
and Adam's first steps have the size of the gradient's sign: rounding grows from step to step, in PyTorch's 32 bits as in ours.
So the judge is the computation with 64 bits.
"""
import argparse
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

LIMIT = 1e-4
GAIN, BIAS, VMAX, LNT, D0, CT, VC0, CV, DEC, HEAT = 0.35, 0.45, 1.1, 3.912023, 20.0, 0.5, 1.0, 0.1, 0.8, 0.35


def law(x):
    """The step law, expected firing, one heat pole: [T, ...] to [T, ...]."""
    th, out = torch.zeros_like(x[0]), []
    for v in x.unbind(0):
        u = (GAIN * v + BIAS).clamp(0.0, VMAX)
        q = LNT - D0 / (1.0 + CT * th) * (1.0 - u / (VC0 - CV * th)).clamp(min=0.0)
        out.append(-torch.expm1(-torch.exp(q)))
        th = DEC * (th + HEAT * u * u)
    return torch.stack(out)


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return (u >= 0).to(u.dtype)

    @staticmethod
    def backward(ctx, g):
        (u,) = ctx.saved_tensors
        s = torch.sigmoid(4.0 * u)
        return g * 4.0 * s * (1 - s)


def lif(x):
    """Decay 0.9, threshold 1, reset to zero: [T, ...] to [T, ...]."""
    v, out = torch.zeros_like(x[0]), []
    for xt in x.unbind(0):
        v = 0.9 * v + xt
        s = Spike.apply(v - 1.0)
        v = v * (1 - s)
        out.append(s)
    return torch.stack(out)


class Flat(nn.Module):
    def __init__(self, features, neuron):
        super().__init__()
        self.c = nn.ModuleList([nn.Conv2d(i, o, 3, padding=1) for i, o in ((2, 32), (32, 64), (64, 64))])
        self.f1, self.f2, self.n = nn.Linear(features, 256), nn.Linear(256, 11), neuron

    def forward(self, x):
        T, B = x.shape[:2]
        h = x.flatten(0, 1)
        for c in self.c:
            h = c(h)
            h = F.avg_pool2d(self.n(h.view(T, B, *h.shape[1:])).flatten(0, 1), 2)
        h = self.n(self.f1(h.flatten(1)).view(T, B, -1)).flatten(0, 1)
        return self.f2(h).view(T, B, 11).mean(0)


class CnnLstm(nn.Module):
    def __init__(self, features):
        super().__init__()
        blk = lambda i, o: [nn.Conv2d(i, o, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)]
        self.c = nn.Sequential(*blk(2, 32), *blk(32, 64), *blk(64, 64), nn.Flatten())
        self.l, self.f = nn.LSTM(features, 256), nn.Linear(256, 11)

    def forward(self, x):
        T, B = x.shape[:2]
        return self.f(self.l(self.c(x.flatten(0, 1)).view(T, B, -1))[0][-1])


def r2plus1d(features, side):
    blk = lambda i, o: [nn.Conv3d(i, o, (1, 3, 3), padding=(0, 1, 1)), nn.ReLU(), nn.Conv3d(o, o, (3, 1, 1), padding=(1, 0, 0)), nn.ReLU(), nn.AvgPool3d((1, 2, 2))]
    return nn.Sequential(*blk(2, 32), *blk(32, 64), *blk(64, 64), nn.AdaptiveAvgPool3d((1, side // 8, side // 8)), nn.Flatten(),
                         nn.Linear(features, 256), nn.ReLU(), nn.Linear(256, 11))


def save_safetensors(tensors, file):
    """A header's length (8 bytes), the header as JSON, the tensors' bytes."""
    header, data, types = {}, b"", {torch.float32: "F32", torch.int64: "I64"}
    for name, t in tensors.items():
        raw = t.detach().contiguous().numpy().tobytes()
        header[name] = {"dtype": types[t.dtype], "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)


def train(net, x, y, peer, steps):
    """The losses of `steps` steps, in the type of `net` and `x`."""
    given = x.permute(1, 2, 0, 3, 4).contiguous() if peer == "r2plus1d" else x
    optimiser, losses = torch.optim.Adam(net.parameters(), 1e-3), []
    for _ in range(steps):
        optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(given), y)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def compare(peer, program, T, B, side, seed):
    torch.manual_seed(seed)
    features = 64 * (side // 8) ** 2
    x, y = torch.poisson(torch.full((T, B, 2, side, side), 0.05)), torch.randint(0, 11, (B,))
    if peer in ("ip", "lif", "relu"):
        net = Flat(features, {"ip": law, "lif": lif, "relu": F.relu}[peer])
    else:
        net = CnnLstm(features) if peer == "lstm" else r2plus1d(features, side)
    if peer in ("ip", "lif"):
        for m in net.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                m.weight.data.mul_(3.0)
    start = {name: value.clone() for name, value in net.state_dict().items()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "start.safetensors")
        save_safetensors({**net.state_dict(), "x": x, "y": y}, file)
        done = subprocess.run([program, peer, "--bench", "conv_step", "--check", file], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{peer}: {done.stderr.strip()}")
    ours = json.loads(done.stdout)["losses"]
    single = train(net, x, y, peer, len(ours))
    net.load_state_dict(start)
    double = train(net.double(), x.double(), y, peer, len(ours))
    apart = lambda one, other: max(abs(a - b) for a, b in zip(one, other))
    worst = apart(ours, double)
    print(json.dumps({"peer": peer, "seed": seed, "T": T, "B": B, "side": side, "torch": torch.__version__, "ours_from_64_bits": worst,
                      "ours_from_32_bits": apart(ours, single), "torch_32_from_64_bits": apart(single, double),
                      "ours": ours, "torch_32_bits": single, "torch_64_bits": double}), flush=True)
    return worst <= LIMIT


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("--peers", default="ip,relu,lstm,r2plus1d,lif")
    arguments.add_argument("--steps", type=int, default=16), arguments.add_argument("--batch", type=int, default=8), arguments.add_argument("--side", type=int, default=64)
    arguments.add_argument("--seeds", type=int, default=1)
    a = arguments.parse_args()
    program = str(Path(a.program).resolve())
    good = [compare(peer, program, a.steps, a.batch, a.side, seed) for peer in a.peers.split(",") for seed in range(a.seeds)]
    sys.exit(0 if all(good) else 1)
