"""Writes the fixtures of optimizers.rs: what torch.save makes of Adam and others after two steps with known gradients.

    python make_optimizers.py

needs torch. Entry i of every gradient is (i + 1) / 10, in both steps, so that v = (1 - beta2^2) ((i + 1) / 10)^2.
"""

import pathlib

import torch

FOLDER = pathlib.Path(__file__).parent / "fixtures" / "optimizers"


def network():
    # Two layers with a batch norm between: buffers lie between the parameters' names.
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1)).double()


def stepped(optimizer, parameters):
    for _ in range(2):
        for parameter in parameters:
            entries = torch.arange(1, parameter.numel() + 1, dtype=torch.float64)
            parameter.grad = (entries / 10).reshape(parameter.shape)
        optimizer.step()
    return optimizer.state_dict()


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    model = network()
    parameters = list(model.parameters())
    save = lambda name, contents: torch.save(contents, FOLDER / f"{name}.pth")
    beside = lambda state: {"epoch": 1, "model_state_dict": model.state_dict(), "optimizer_state_dict": state}

    adam = stepped(torch.optim.Adam(parameters, lr=0.01, betas=(0.8, 0.95), eps=1e-6), parameters)
    save("beside", beside(adam))
    save("alone", adam)
    save("named", stepped(torch.optim.AdamW(model.named_parameters(), lr=0.01, betas=(0.8, 0.95)), parameters))
    save("amsgrad", beside(stepped(torch.optim.Adam(parameters, betas=(0.8, 0.95), amsgrad=True), parameters)))
    wrapped = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    save("parallel", {"net": wrapped, "optimizer": adam})
    save("sgd", beside(stepped(torch.optim.SGD(parameters, lr=0.1, momentum=0.9), parameters)))
    save("fresh", beside(torch.optim.Adam(parameters).state_dict()))
    named = list(model.named_parameters())
    groups = [{"params": named[:2], "eps": 1e-6}, {"params": named[2:]}]
    save("settings", beside(stepped(torch.optim.Adam(groups), parameters)))
    groups = [{"params": named[3:], "lr": 0.1}, {"params": named[:3], "lr": 0.5}]
    save("rates", beside(stepped(torch.optim.Adam(groups, betas=(0.8, 0.95)), parameters)))
    groups = [{"params": parameters[:2]}, {"params": parameters[2:]}]
    save("groups", beside(stepped(torch.optim.Adam(groups), parameters)))
    half = stepped(torch.optim.Adam(parameters[:2]), parameters[:2])
    save("half", beside(half))


if __name__ == "__main__":
    main()
