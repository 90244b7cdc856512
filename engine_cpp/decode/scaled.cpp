// Values in one array, their scales and zero points in others: FP8, AWQ, GPTQ and compressed-tensors.
#include "decode/scaled.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "ops/cpu/convert.hpp"

namespace qwen3 {
namespace {

using cpu::Bf16;
using cpu::F16;
using cpu::read;
using cpu::to_f32;

float float_at(const Part& part, int64_t index) {
    switch (part.type) {
        case PartType::f16: return to_f32(read<F16>(part.data, index));
        case PartType::bf16: return to_f32(read<Bf16>(part.data, index));
        default: return read<float>(part.data, index);
    }
}

int unsigned_at(const Part& words, int64_t word, int64_t shift, int bits) {
    return static_cast<int>(read<uint32_t>(words.data, word) >> shift & ((1U << bits) - 1));
}

// Every code of FP8 E4M3 without infinities (https://arxiv.org/abs/2209.05433, table 1): 4 bits of exponent, bias 7.
std::array<float, 256> e4m3_values() {
    std::array<float, 256> values{};
    for (size_t code = 0; code < values.size(); ++code) {
        const auto exponent = static_cast<int>(code >> 3 & 15), mantissa = static_cast<int>(code & 7);
        float magnitude = exponent ? std::ldexp(static_cast<float>(8 + mantissa), exponent - 10)
                                   : std::ldexp(static_cast<float>(mantissa), -9);
        if (exponent == 15 && mantissa == 7) magnitude = std::numeric_limits<float>::quiet_NaN();
        values[code] = code & 0x80 ? -magnitude : magnitude;
    }
    return values;
}

class Fp8Reader final : public MatrixReader {
public:
    Fp8Reader(const EncodedMatrix& matrix, int64_t columns) : matrix_(matrix), columns_(columns) {}

    void read(Range rows, Range columns, float* out) const override {
        static const std::array<float, 256> values = e4m3_values();
        const int64_t scale_columns = matrix_.scales.shape[1];
        for (int64_t row = rows.begin; row < rows.end; ++row)
            for (int64_t k = columns.begin; k < columns.end;) {
                const int64_t block = k / matrix_.block_columns;
                const int64_t end = std::min(columns.end, (block + 1) * matrix_.block_columns);
                const float scale = float_at(matrix_.scales, row / matrix_.block_rows * scale_columns + block);
                const std::byte* codes = matrix_.values.data + row * columns_;
                for (; k < end; ++k) *out++ = values[std::to_integer<size_t>(codes[k])] * scale;
            }
    }

private:
    const EncodedMatrix& matrix_;
    const int64_t columns_;
};

// Whole numbers, whatever their packing: w = (value - zero) * scale.
class IntegerReader final : public MatrixReader {
public:
    IntegerReader(const EncodedMatrix& matrix, int64_t rows, int64_t columns)
        : matrix_(matrix), rows_(rows), columns_(columns), per_word_(32 / matrix.bits) {}

    void read(Range rows, Range columns, float* out) const override {
        std::array<int16_t, static_cast<size_t>(kRows * kColumns)> values;
        unpack(rows, columns, values.data());
        const int16_t* value = values.data();
        for (int64_t row = rows.begin; row < rows.end; ++row)
            for (int64_t k = columns.begin; k < columns.end;) {
                const int64_t group = group_of(k), end = end_of_group(k, columns.end);
                const float scale = scale_at(row, group);
                const int zero = zero_at(row, group);
                for (; k < end; ++k) *out++ = static_cast<float>(*value++ - zero) * scale;
            }
    }

    bool read_integers(Range rows, Range columns, int8_t* values, float* scales) const override {
        for (int64_t k = columns.begin; k < columns.end; k += kGroup)
            if (end_of_group(k, columns.end) < std::min(k + kGroup, columns.end)) return false;
        std::array<int16_t, static_cast<size_t>(kRows * kColumns)> raised;
        unpack(rows, columns, raised.data());
        const int16_t* value = raised.data();
        for (int64_t row = rows.begin; row < rows.end; ++row)
            for (int64_t k = columns.begin; k < columns.end;) {
                const int64_t group = group_of(k), end = std::min(k + kGroup, columns.end);
                const int zero = zero_at(row, group);
                *scales++ = scale_at(row, group);
                for (; k < end; ++k) {
                    const int difference = *value++ - zero;
                    if (difference < -128 || difference > 127) return false;
                    *values++ = static_cast<int8_t>(difference);
                }
            }
        return true;
    }

private:
    // Where a column's nibble lies in its word: AWQ puts columns 0 2 4 6 1 3 5 7 one after the other.
    static constexpr std::array<int64_t, 8> kAwqNibble = {0, 4, 1, 5, 2, 6, 3, 7};

    int64_t group_of(int64_t k) const {
        if (matrix_.group_index.data) return cpu::read<int32_t>(matrix_.group_index.data, k);
        return k / matrix_.block_columns;
    }
    // The first column behind k, up to a limit, that has another group.
    int64_t end_of_group(int64_t k, int64_t limit) const {
        const int64_t group = group_of(k);
        if (!matrix_.group_index.data) return std::min(limit, (group + 1) * matrix_.block_columns);
        while (++k < limit && group_of(k) == group) {
        }
        return k;
    }

    float scale_at(int64_t row, int64_t group) const {
        const bool by_group = matrix_.encoding == Encoding::gptq || matrix_.encoding == Encoding::awq;
        return float_at(matrix_.scales, by_group ? group * rows_ + row : row * matrix_.scales.shape[1] + group);
    }
    int zero_at(int64_t row, int64_t group) const {
        const Part& zeros = matrix_.zeros;
        const int half = 1 << (matrix_.bits - 1);
        switch (matrix_.encoding) {
            case Encoding::packed:
                if (!zeros.data) return half;
                return unsigned_at(zeros, row / per_word_ * zeros.shape[1] + group, row % per_word_ * matrix_.bits,
                                   matrix_.bits);
            case Encoding::gptq: {
                const int stored = unsigned_at(zeros, group * zeros.shape[1] + row / per_word_,
                                               row % per_word_ * matrix_.bits, matrix_.bits);
                return (stored + matrix_.zero_offset) & ((1 << matrix_.bits) - 1);  // 0 was stored as -1
            }
            case Encoding::awq:
                return unsigned_at(zeros, group * zeros.shape[1] + row / 8,
                                   kAwqNibble[static_cast<size_t>(row % 8)] * 4, 4);
            default: return zeros.data ? cpu::read<int8_t>(zeros.data, row * zeros.shape[1] + group) : 0;
        }
    }

    // out[rows, columns] = the stored numbers.
    void unpack(Range rows, Range columns, int16_t* out) const {
        switch (matrix_.encoding) {
            case Encoding::packed: return unpack_rows(rows, columns, out);
            case Encoding::gptq: return unpack_gptq(rows, columns, out);
            case Encoding::awq: return unpack_awq(rows, columns, out);
            default:
                for (int64_t row = rows.begin; row < rows.end; ++row)
                    for (int64_t k = columns.begin; k < columns.end; ++k)
                        *out++ = cpu::read<int8_t>(matrix_.values.data, row * columns_ + k);
        }
    }
    void unpack_rows(Range rows, Range columns, int16_t* out) const {
        const int64_t row_bytes = matrix_.values.shape[1] * 4;
        for (int64_t row = rows.begin; row < rows.end; ++row) {
            const std::byte* bytes = matrix_.values.data + row * row_bytes;  // low bits first: also byte by byte
            if (matrix_.bits == 8)
                for (int64_t k = columns.begin; k < columns.end; ++k) *out++ = std::to_integer<int16_t>(bytes[k]);
            else
                for (int64_t k = columns.begin; k < columns.end; ++k)
                    *out++ = static_cast<int16_t>(std::to_integer<int>(bytes[k / 2]) >> k % 2 * 4 & 15);
        }
    }
    void unpack_gptq(Range rows, Range columns, int16_t* out) const {
        const int64_t width = columns.size();
        for (int64_t word = columns.begin / per_word_; word * per_word_ < columns.end; ++word) {
            const Range covered{std::max(columns.begin, word * per_word_),
                                std::min(columns.end, (word + 1) * per_word_)};
            for (int64_t r = 0; r < rows.size(); ++r) {  // side by side in the file
                const auto bits = cpu::read<uint32_t>(matrix_.values.data, word * rows_ + rows.begin + r);
                for (int64_t k = covered.begin; k < covered.end; ++k)
                    out[r * width + k - columns.begin] =
                        static_cast<int16_t>(bits >> k % per_word_ * matrix_.bits & ((1U << matrix_.bits) - 1));
            }
        }
    }
    void unpack_awq(Range rows, Range columns, int16_t* out) const {
        const int64_t width = columns.size(), row_words = rows_ / 8;
        for (int64_t k = columns.begin; k < columns.end; ++k)
            for (int64_t r = 0; r < rows.size(); ++r) {
                const int64_t row = rows.begin + r;
                const auto bits = cpu::read<uint32_t>(matrix_.values.data, k * row_words + row / 8);
                out[r * width + k - columns.begin] =
                    static_cast<int16_t>(bits >> kAwqNibble[static_cast<size_t>(row % 8)] * 4 & 15);
            }
    }

    const EncodedMatrix& matrix_;
    const int64_t rows_, columns_, per_word_;
};

}  // namespace

std::unique_ptr<MatrixReader> open_scaled(const EncodedMatrix& matrix, int64_t rows, int64_t columns) {
    if (matrix.encoding == Encoding::fp8) return std::make_unique<Fp8Reader>(matrix, columns);
    return std::make_unique<IntegerReader>(matrix, rows, columns);
}

}  // namespace qwen3
