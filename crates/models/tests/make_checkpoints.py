"""Writes the fixtures of checkpoints.rs and what PyTorch itself reads from them.

    python make_checkpoints.py

needs torch, numpy and safetensors. Run again only when a fixture is added: the tests read the files as they are.
"""

import collections
import json
import math
import pathlib

import numpy
import safetensors.torch
import torch

FOLDER = pathlib.Path(__file__).parent / "fixtures" / "checkpoints"
STORED = {
    torch.float64: "f64", torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16",
    torch.int64: "i64", torch.int32: "i32", torch.int16: "i16", torch.int8: "i8", torch.uint8: "u8",
    torch.uint16: "u16", torch.bool: "bool",
}


def numbers(*shape, scale=1.0):
    return scale * torch.sin(1.0 + torch.arange(math.prod(shape), dtype=torch.float64)).reshape(shape)


def described(state_dict):
    return {
        name: {
            "dtype": STORED[tensor.dtype],
            "shape": list(tensor.shape),
            # As texts, because not every reader of JSON rounds numbers correctly.
            "values": [repr(value) for value in tensor.double().flatten().tolist()],
            "norm": repr(tensor.double().norm().item()),
        }
        for name, tensor in state_dict.items()
    }


def small_network(dtype=torch.float32):
    return collections.OrderedDict(
        [("conv.weight", numbers(2, 1, 2, 2).to(dtype)), ("conv.bias", numbers(2, scale=0.5).to(dtype)),
         ("fc.weight", numbers(3, 4, scale=0.25).to(dtype)), ("fc.bias", numbers(3, scale=-2.0).to(dtype))]
    )


def prefixed(state_dict, prefix):
    return collections.OrderedDict((prefix + name, tensor) for name, tensor in state_dict.items())


def read_back(path):
    if path.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    found = torch.load(path, weights_only=False)
    while "model" in found or "state_dict" in found:
        found = found.get("model", found.get("state_dict"))
    prefix = {"data_parallel.pth": "module.", "compiled.pth": "_orig_mod.",
              "compiled_data_parallel.pth": "module._orig_mod.module."}.get(path.name, "")
    return {name.removeprefix(prefix): tensor.detach() for name, tensor in found.items()}


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    expected = []

    def write(name, contents, **arguments):
        torch.save(contents, FOLDER / name, **arguments)
        expected.append(name)

    mixed = collections.OrderedDict(
        double=numbers(2, 3), single=numbers(4).float(), half=numbers(3).half(), brain=numbers(3).bfloat16(),
        long=torch.tensor([-3, 2**40]), int=torch.tensor([-7, 70000], dtype=torch.int32),
        short=torch.tensor([-300, 300], dtype=torch.int16), char=torch.tensor([-128, 127], dtype=torch.int8),
        byte=torch.tensor([0, 255], dtype=torch.uint8), bool=torch.tensor([True, False]),
        unsigned_short=torch.tensor([0, 65535], dtype=torch.uint16), scalar=torch.tensor(1.5), empty=torch.zeros(0, 3),
    )
    write("mixed.pth", mixed)

    base = numbers(4, 6).float()
    cube = numbers(2, 3, 4).double()
    views = collections.OrderedDict(
        transposed=base.t(), sliced=base[1:3, 2:5], stepped=base[::2, 1::3], row=base[2], whole=base,
        permuted=cube.permute(2, 0, 1), middle=cube[:, 1, :], repeated=torch.tensor([[2.5]]).expand(3, 2),
        channels_last=numbers(1, 2, 3, 2).float().to(memory_format=torch.channels_last),
    )
    write("views.pth", views)

    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 2), torch.nn.BatchNorm2d(2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(numbers(*parameter.shape))
    network(numbers(3, 1, 4, 4).float())
    state_dict = network.state_dict()
    write("batch_norm.pth", state_dict)

    state_dict = small_network()
    nested = {"epoch": 12, "arch": "small", "best": 0.75, "state_dict": state_dict,
              "optimizer": {"state": {0: {"momentum_buffer": numbers(2)}}, "param_groups": [{"lr": 0.1}]}}
    write("nested.pth", nested)
    write("nested_model.pt", {"model": {"state_dict": state_dict}, "step": 3})
    write("parameters.pth", {name: torch.nn.Parameter(tensor) for name, tensor in state_dict.items()})
    write("protocol_5.pth", state_dict, pickle_protocol=5)
    write("data_parallel.pth", prefixed(state_dict, "module."))
    write("compiled.pth", prefixed(state_dict, "_orig_mod."))
    write("compiled_data_parallel.pth", prefixed(state_dict, "module._orig_mod.module."))
    broken = small_network()
    broken["fc.weight"][1, 2] = math.nan
    broken["fc.weight"][2, 0] = math.inf
    torch.save(broken, FOLDER / "non_finite.pth")

    torch.save({"generator": small_network(), "discriminator": small_network()}, FOLDER / "two_networks.pth")
    torch.save({"epoch": 3}, FOLDER / "no_tensors.pth")
    torch.save(torch.nn.Linear(2, 1), FOLDER / "whole_module.pth")
    torch.save({"weight": torch.eye(3).to_sparse()}, FOLDER / "sparse.pth")
    torch.save({"weight": torch.zeros(2, dtype=torch.complex64)}, FOLDER / "complex.pth")
    torch.save(state_dict, FOLDER / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.jit.script(torch.nn.Linear(2, 1)).save(str(FOLDER / "torchscript.pt"))
    numpy.savez(FOLDER / "arrays.npz", weight=numpy.eye(2))

    brain = small_network(torch.bfloat16)
    safetensors.torch.save_file(brain, FOLDER / "brain.safetensors", metadata={"format": "pt", "model": "small"})
    expected.append("brain.safetensors")
    del mixed["empty"]
    safetensors.torch.save_file(mixed, FOLDER / "mixed.safetensors")
    expected.append("mixed.safetensors")

    # The expected values are what PyTorch reads back, not what this script meant to write.
    descriptions = {name: described(read_back(FOLDER / name)) for name in expected}
    (FOLDER / "expected.json").write_text(json.dumps(descriptions, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
