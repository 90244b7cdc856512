#include "decode/reader.hpp"

#include "decode/gguf_blocks.hpp"
#include "decode/scaled.hpp"

namespace qwen3 {

std::unique_ptr<MatrixReader> open_reader(const EncodedMatrix& matrix, int64_t rows, int64_t columns) {
    switch (matrix.encoding) {
        case Encoding::fp8:
        case Encoding::int8:
        case Encoding::packed:
        case Encoding::gptq:
        case Encoding::awq: return open_scaled(matrix, rows, columns);
        case Encoding::q8_0:
        case Encoding::q4_0:
        case Encoding::q4_k:
        case Encoding::q5_k:
        case Encoding::q6_k: return gguf::open_blocks(matrix, columns);
    }
    return nullptr;
}

}  // namespace qwen3
