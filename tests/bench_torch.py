"""The plain models in PyTorch, for `bench.py`: the same networks, loss and optimiser."""

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits


def loss(x, logits, parameters):
    """Minus the ELBO, the mean over a batch, from log-odds and from means and log-variances."""
    mean, log_variance = parameters.chunk(2, dim=-1)
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
    missed = binary_cross_entropy_with_logits(logits, x, reduction="none")
    return (kl.sum() + missed.sum()) / len(x)


def draw(parameters):
    mean, log_variance = parameters.chunk(2, dim=-1)
    return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)


def perceptron(inputs, hidden, outputs):
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


class Frames(nn.Module):
    """`cvae.models.VAE` without `use_x_prev`."""

    def __init__(self, pitches, hidden, latent):
        super().__init__()
        self.encoder = perceptron(pitches, hidden, 2 * latent)
        self.decoder = perceptron(latent, hidden, pitches)

    def forward(self, x):
        parameters = self.encoder(x)
        return loss(x, self.decoder(draw(parameters)), parameters)


class Sequences(nn.Module):
    """`cvae.models.VAELSTM` with a standard-normal prior and `use_x_prev`."""

    def __init__(self, pitches, hidden, latent):
        super().__init__()
        self.encoder = nn.LSTM(pitches, hidden, batch_first=True)
        self.to_z = nn.Linear(hidden, 2 * latent)
        self.decoder = nn.LSTM(latent + pitches, hidden, batch_first=True)
        self.to_x = nn.Linear(hidden, pitches)

    def forward(self, x):
        parameters = self.to_z(self.encoder(x)[0])
        before = nn.functional.pad(x[:, :-1], (0, 0, 1, 0))
        hidden = self.decoder(torch.cat([draw(parameters), before], dim=-1))[0]
        return loss(x, self.to_x(hidden), parameters)


def epoch(model, x, batch):
    """A function that trains for an epoch, with the sizes of one of our models."""
    family = Sequences if model.sequential else Frames
    hidden = model.to_x.kernel.shape[0] if model.sequential else model.decoder.hidden.units
    network, x = family(model.pitches, hidden, model.latent_dim), torch.tensor(x)
    optimizer = torch.optim.Adam(network.parameters())

    def run():
        for rows in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            network(x[rows]).backward()
            optimizer.step()

    return run
