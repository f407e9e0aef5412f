"""Makes `llama_cpp.json`: what llama.cpp counts of the texts in `counts.json`, for the vocabularies beside it as GGUF.

    pip install gguf==0.19.0
    python make_llama_cpp.py FOLDER_OF_LIBLLAMA

Run it after `make.py`. The library is called through its C interface, laid out as in the header named in README.md.
"""

import ctypes
import json
import pathlib
import sys
import tempfile

import gguf

HERE = pathlib.Path(__file__).resolve().parent
PRE_TOKENIZERS = {"gpt2": "gpt-2", "smollm": "smollm", "llama3": "llama-bpe", "qwen2": "qwen2"}
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4


class ModelParameters(ctypes.Structure):
    """`struct llama_model_params`, with room behind it for fields yet to come."""

    _fields_ = [
        ("devices", ctypes.c_void_p), ("tensor_buft_overrides", ctypes.c_void_p), ("n_gpu_layers", ctypes.c_int32),
        ("split_mode", ctypes.c_int32), ("load_mode", ctypes.c_int32), ("lazy_mode", ctypes.c_int32),
        ("main_gpu", ctypes.c_int32), ("tensor_split", ctypes.c_void_p), ("progress_callback", ctypes.c_void_p),
        ("progress_callback_user_data", ctypes.c_void_p), ("kv_overrides", ctypes.c_void_p), ("vocab_only", ctypes.c_bool),
        ("others", ctypes.c_bool * 71),
    ]


def library(folder):
    for name in ("libggml-base.so*", "libggml.so*", "libggml.v*.so"):
        for path in sorted(folder.glob(name))[:1]:
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    found = ctypes.CDLL(str(sorted([*folder.glob("libllama.so*"), *folder.glob("libllama.v*.so")])[0]))
    found.llama_model_default_params.restype = ModelParameters
    found.llama_model_load_from_file.restype = ctypes.c_void_p
    found.llama_model_load_from_file.argtypes = [ctypes.c_char_p, ModelParameters]
    found.llama_model_get_vocab.restype = ctypes.c_void_p
    found.llama_model_get_vocab.argtypes = [ctypes.c_void_p]
    found.llama_tokenize.argtypes = [
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_int32, ctypes.c_bool, ctypes.c_bool]
    found.llama_backend_init()
    return found


def write_vocabulary(name, path):
    wire = json.loads((HERE / f"{name}.json").read_text())
    kinds = {token: NORMAL for token in wire["model"]["vocab"]}
    ids = dict(wire["model"]["vocab"])
    for added in wire["added_tokens"]:
        ids[added["content"]] = added["id"]
        kinds[added["content"]] = CONTROL if added["special"] else USER_DEFINED
    tokens = sorted(ids, key=ids.get)
    writer = gguf.GGUFWriter(path, "llama")
    for add in (writer.add_block_count, writer.add_head_count):
        add(1)
    for add in (writer.add_context_length, writer.add_embedding_length, writer.add_feed_forward_length):
        add(64)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZERS[name])
    writer.add_token_list(tokens)
    writer.add_token_types([kinds[token] for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in wire["model"]["merges"]])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def counts(llama, path, texts):
    parameters = llama.llama_model_default_params()
    parameters.vocab_only = True
    vocabulary = llama.llama_model_get_vocab(llama.llama_model_load_from_file(path.encode(), parameters))

    def count(text, special):
        raw = text.encode()
        room = len(raw) + 16
        return llama.llama_tokenize(vocabulary, raw, len(raw), (ctypes.c_int32 * room)(), room, True, special)

    return {"special_tokens_spelled": [count(text, True) for text in texts],
            "special_tokens_as_text": [count(text, False) for text in texts]}


def main():
    llama = library(pathlib.Path(sys.argv[1]))
    texts = json.loads((HERE / "counts.json").read_text())["texts"]
    counted = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in PRE_TOKENIZERS:
            path = str(pathlib.Path(folder) / f"{name}.gguf")
            write_vocabulary(name, path)
            counted[name] = counts(llama, path, texts)
    (HERE / "llama_cpp.json").write_text(json.dumps(counted, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
