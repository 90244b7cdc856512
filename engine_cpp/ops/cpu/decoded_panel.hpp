// A panel of a quantized checkpoint's matrix, from the file's encoding into the kernels' layout.
#pragma once

#include "decode/reader.hpp"
#include "ops/cpu/kernels/kernels.hpp"
#include "ops/shapes.hpp"

namespace qwen3::cpu {

// out, zeroed, = the panel: integers are kept where they fit, with their scales rounded to bf16; all else is rounded
// from floats.
void fill_decoded(const MatrixReader& reader, const Slice& slice, WeightType type, const Kernels& kernels,
                  int64_t panel, std::byte* out);

}  // namespace qwen3::cpu
