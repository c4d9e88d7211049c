"""Models and adapters made on the spot, and what the papers' formulas give, in plain loops over tokens and experts."""

from __future__ import annotations

import math

import torch
from peft import LoraConfig, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

# Several threads on matrices this small only wait for each other.
torch.set_num_threads(1)

NAME = "made/tiny-llama"
VOCABULARY = 96
ATTENTION = ("q_proj", "v_proj")
# Peft asks transformers for it by its old name.
OLD_NAME = "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"


def llama(name=NAME, seed=0, hidden=32):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.2,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config)
    model.config._name_or_path = name
    model.name_or_path = name
    return model.eval()


def gpt2():
    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=1, eos_token_id=2
        )
    ).eval()


def save_adapter(folder, seed, model=None, *, targets=ATTENTION, **more):
    """An adapter as training leaves it: no matrix is zero."""
    torch.manual_seed(100 + seed)
    values = {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1, "task_type": "CAUSAL_LM"} | more
    config = LoraConfig(target_modules=list(targets), **values)
    adapted = get_peft_model(model or llama(), config)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.save_pretrained(str(folder), save_embedding_layers=False)
    return folder


def save_adapters(folder, count=3):
    """Adapters of several ranks."""
    return [save_adapter(folder / f"adapter{seed}", seed, r=2 + 2 * seed) for seed in range(count)]


def disturb(parameters, seed=7, scale=0.5):
    """Move parameters away from where they start, where much cancels."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters:
            drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_((scale * drawn).to(parameter.dtype))


def tokens(batch=2, length=9, seed=3):
    return torch.randint(3, VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(seed))


def logits(model, ids, **more):
    with torch.no_grad():
        return model(input_ids=ids, **more).logits


def dot(one, other):
    return sum((a * b for a, b in zip(one, other, strict=True)), torch.zeros((), dtype=torch.float64))


def expert_output(layer, name, token):
    """E_i(x) of one token: a list of numbers."""
    down = layer.lora.lora_A[name].weight.double()
    up = layer.lora.lora_B[name].weight.double()
    scaling = layer.lora.lora_alpha[name] / layer.lora.r[name]
    narrow = [dot(row, token) for row in down]
    return [scaling * dot(row, narrow) for row in up]


def softmax(scores):
    powers = [torch.exp(score) for score in scores]
    return [power / sum(powers) for power in powers]


def mole_weights(gate, outputs):
    """G of one token, from its experts' outputs."""
    flat = [number for output in outputs for number in output]
    length = torch.sqrt(sum(number**2 for number in flat))
    embedding = gate.embedding.double()
    temperature = torch.exp(gate.log_temperature.double())
    scores = [dot([number / length for number in flat], embedding[:, place]) for place in range(len(outputs))]
    return softmax([score / temperature for score in scores])


def input_weights(gate, token):
    """sigmoid(W x + b) of one token."""
    scores = [dot(row, token) + bias for row, bias in zip(gate.weight.double(), gate.bias.double(), strict=True)]
    return [1 / (1 + torch.exp(-score)) for score in scores]


def gate_values(gate, token):
    return softmax([dot(row, token) for row in gate.gate.weight.double()])


def learned_threshold(gate, token, highest):
    score = dot(gate.threshold.weight.double()[0], token) + gate.threshold.bias.double()[0]
    return highest / (1 + torch.exp(-score))


def normalised(amounts):
    total = sum(amount for amount in amounts if amount is not None)
    zero = torch.zeros((), dtype=torch.float64)
    return [zero if amount is None else amount / total for amount in amounts]


def margin_weights(values, threshold):
    return normalised([value - threshold if value >= threshold else None for value in values])


def share_weights(values, threshold):
    return normalised([value if value >= threshold else None for value in values])


def largest_weights(values, count):
    kept = sorted(range(len(values)), key=lambda place: -values[place].item())[:count]
    return normalised([value if place in kept else None for place, value in enumerate(values)])


def switch_loss(values, weights):
    """N Σ f P of one gate, from its tokens' gate values and weights."""
    experts = len(values[0])
    loss = 0.0
    for place in range(experts):
        fraction = sum(1 for token in weights if token[place].item() > 0) / len(weights)
        loss = loss + fraction * sum(token[place] for token in values) / len(values)
    return experts * loss


def mole_loss(layers):
    """-log Π q, from each gate's tokens' weights."""
    product = torch.ones((), dtype=torch.float64)
    for place in range(len(layers[0][0])):
        means = [sum(token[place] for token in layer) / len(layer) for layer in layers]
        product = product * (sum(means) / len(means))
    return -math.log(product.item())
