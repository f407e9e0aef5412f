//! Llama.cpp as an engine: sequences, batches, samplers, embeddings.
