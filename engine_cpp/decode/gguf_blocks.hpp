// GGUF's quantized blocks (https://github.com/ggml-org/ggml, ggml-common.h): a row is blocks of 32 or 256 weights, each
// with its scales in front or behind.
#pragma once

#include "decode/reader.hpp"

namespace qwen3::gguf {

struct BlockShape {
    int64_t weights;
    int64_t bytes;
};

// Of an encoding that is one of GGUF's.
BlockShape block_shape(Encoding encoding);

std::unique_ptr<MatrixReader> open_blocks(const EncodedMatrix& matrix, int64_t columns);

}  // namespace qwen3::gguf
