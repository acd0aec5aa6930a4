"""A tiny random Llama with three LoRA adapters, made without a network: `tiny_llm.py OUT` (run by vLLM's own Python).

3.3 million parameters, float32, seeded: what it says means nothing, and is the same at temperature 0. The tokenizer is
trained on a package that the lock pins, so that it too is the same everywhere. OUT/model and OUT/adapters/{a,b,c} are
made; the adapters change the text.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch  # type: ignore[import-not-found]
import transformers  # type: ignore[import-not-found]
from safetensors.torch import save_file  # type: ignore[import-not-found]
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY, HIDDEN, LAYERS, HEADS, KV_HEADS = 4096, 256, 2, 4, 2
HEAD_DIM = HIDDEN // HEADS
CONTEXT_TOKENS = 2048
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<pad>"]
CHAT_TEMPLATE = (
    "{%- if tools %}<|im_start|>system\nTools: {{ tools | tojson }}<|im_end|>\n{%- endif %}"
    "{%- for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{%- endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{%- endif %}"
)
PROJECTIONS = {  # of attention: input and output width
    "q_proj": (HIDDEN, HIDDEN),
    "k_proj": (HIDDEN, KV_HEADS * HEAD_DIM),
    "v_proj": (HIDDEN, KV_HEADS * HEAD_DIM),
    "o_proj": (HIDDEN, HIDDEN),
}


def make_tokenizer(out: Path) -> None:
    """A byte-level BPE tokenizer with a ChatML template."""
    corpus = sorted(str(path) for path in (Path(transformers.__file__).parent / "generation").glob("*.py"))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train(
        corpus, trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=alphabet)
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=SPECIAL[0],
        eos_token=SPECIAL[2],
        pad_token=SPECIAL[3],
        model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(out)


def make_model(out: Path) -> None:
    """Random weights; a wide initialisation, so that answers differ from prompt to prompt."""
    torch.manual_seed(7)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=2 * HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        head_dim=HEAD_DIM,
        max_position_embeddings=CONTEXT_TOKENS,
        initializer_range=0.08,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=3,
        dtype="float32",
    )
    transformers.LlamaForCausalLM(config).save_pretrained(out)


def make_adapter(out: Path, base: Path, seed: int) -> None:
    """A LoRA adapter in PEFT's format, written by hand."""
    random, rank = torch.Generator().manual_seed(seed), 8
    weights = {}
    for layer in range(LAYERS):
        for name, (width_in, width_out) in PROJECTIONS.items():
            at = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            weights[f"{at}.lora_A.weight"] = torch.randn(rank, width_in, generator=random) * 0.2
            weights[f"{at}.lora_B.weight"] = torch.randn(width_out, rank, generator=random) * 0.2
    out.mkdir(parents=True)
    save_file(weights, str(out / "adapter_model.safetensors"))
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base.name,
        "r": rank,
        "lora_alpha": 2 * rank,
        "lora_dropout": 0.0,
        "target_modules": list(PROJECTIONS),
        "bias": "none",
        "inference_mode": True,
    }
    (out / "adapter_config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    root = Path(sys.argv[1])
    make_tokenizer(root / "model")
    make_model(root / "model")
    for seed, name in enumerate(("a", "b", "c"), start=1):
        make_adapter(root / "adapters" / name, root / "model", seed)
