"""Unpacks a GGUF chat model into the folder that vLLM loads. Usage: gguf_to_safetensors.py FILE FOLDER, in vLLM's Python."""

import os
import pathlib
import sys

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

source, target = pathlib.Path(sys.argv[1]).absolute(), sys.argv[2]
AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(target)
model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.bfloat16)
# What is saved is unpacked: nothing may say that it still is not.
del model.config.quantization_config
model.hf_quantizer = None
model.save_pretrained(target)
