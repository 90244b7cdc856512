// Readers of the encodings that keep scales apart from the values.
#pragma once

#include "decode/reader.hpp"

namespace qwen3 {

std::unique_ptr<MatrixReader> open_scaled(const EncodedMatrix& matrix, int64_t rows, int64_t columns);

}  // namespace qwen3
