#include "decode/gguf_blocks.hpp"

#include <algorithm>
#include <array>

#include "ops/cpu/convert.hpp"

namespace qwen3::gguf {
namespace {

float half_at(const std::byte* at) { return cpu::to_f32(cpu::read<cpu::F16>(at, 0)); }
int byte_at(const std::byte* at, int64_t index) { return std::to_integer<int>(at[index]); }
int8_t signed_at(const std::byte* at, int64_t index) { return static_cast<int8_t>(at[index]); }

// ---- blocks of 32 with one scale: w = d * q ----

struct Q8_0 {  // f16 d; i8 q[32]
    static constexpr BlockShape kShape{32, 34};
    static float integers(const std::byte* block, int8_t* q) {
        for (int64_t k = 0; k < 32; ++k) q[k] = signed_at(block + 2, k);
        return half_at(block);
    }
};

struct Q4_0 {  // f16 d; u8 q[16]: nibble i of the low ones is q[i] + 8, of the high ones q[16 + i] + 8
    static constexpr BlockShape kShape{32, 18};
    static float integers(const std::byte* block, int8_t* q) {
        for (int64_t k = 0; k < 16; ++k) {
            const int pair = byte_at(block + 2, k);
            q[k] = static_cast<int8_t>((pair & 15) - 8);
            q[16 + k] = static_cast<int8_t>((pair >> 4) - 8);
        }
        return half_at(block);
    }
};

// ---- superblocks of 256 ----

// The 6-bit scales and minima of eight groups of 32, in 12 bytes: four of each in the low bits, the others in pieces.
struct ScalesAndMinima {
    explicit ScalesAndMinima(const std::byte* packed) {
        for (int64_t i = 0; i < 4; ++i) {
            const int low = byte_at(packed, i), middle = byte_at(packed, i + 4), high = byte_at(packed, i + 8);
            const auto first = static_cast<size_t>(i), second = static_cast<size_t>(i + 4);
            scale[first] = static_cast<float>(low & 63);
            minimum[first] = static_cast<float>(middle & 63);
            scale[second] = static_cast<float>((high & 15) | low >> 6 << 4);
            minimum[second] = static_cast<float>(high >> 4 | middle >> 6 << 4);
        }
    }
    std::array<float, 8> scale, minimum;
};

// f16 d, f16 dmin, 12 bytes of scales and minima, then for Q5_K u8[32] of fifth bits, then nibbles: of every 64
// weights, 32 low ones and then 32 high ones. w = d * scale * q - dmin * minimum.
template <bool kFiveBits>
struct Q45K {
    static constexpr BlockShape kShape{256, kFiveBits ? 176 : 144};
    static void floats(const std::byte* block, float* out) {
        const float d = half_at(block), dmin = half_at(block + 2);
        const ScalesAndMinima groups(block + 4);
        const std::byte* fifth = block + 16;
        const std::byte* nibbles = block + (kFiveBits ? 48 : 16);
        for (int64_t group = 0; group < 8; ++group) {
            const float scale = d * groups.scale[static_cast<size_t>(group)];
            const float minimum = dmin * groups.minimum[static_cast<size_t>(group)];
            for (int64_t k = 0; k < 32; ++k) {
                int q = byte_at(nibbles, group / 2 * 32 + k) >> group % 2 * 4 & 15;
                if constexpr (kFiveBits) q |= (byte_at(fifth, k) >> group & 1) << 4;
                *out++ = scale * static_cast<float>(q) - minimum;
            }
        }
    }
};
using Q4K = Q45K<false>;
using Q5K = Q45K<true>;

// u8 low[128], u8 high[64], i8 scale[16] of 16 weights each, f16 d: w = d * scale * (q - 32).
struct Q6K {
    static constexpr BlockShape kShape{256, 210};
    static void floats(const std::byte* block, float* out) {
        const float d = half_at(block + 208);
        for (int64_t k = 0; k < 256; ++k) {
            const int64_t half = k / 128, quarter = k % 128 / 32, i = k % 32;  // a half's quarters share high[32]
            const int low = byte_at(block, half * 64 + quarter % 2 * 32 + i) >> quarter / 2 * 4 & 15;
            const int high = byte_at(block + 128, half * 32 + i) >> quarter * 2 & 3;
            const float scale = d * static_cast<float>(signed_at(block + 192, k / 16));
            out[k] = scale * static_cast<float>((low | high << 4) - 32);
        }
    }
};

template <class Block>
concept WholeNumbers = requires(const std::byte* block, int8_t* q) { Block::integers(block, q); };

template <class Block>
class BlockReader final : public MatrixReader {
public:
    BlockReader(const EncodedMatrix& matrix, int64_t columns)
        : values_(matrix.values.data), row_bytes_(columns / kWeights * Block::kShape.bytes) {}

    void read(Range rows, Range columns, float* out) const override {
        std::array<float, static_cast<size_t>(kWeights)> weights;
        for (int64_t row = rows.begin; row < rows.end; ++row)
            for (int64_t k = columns.begin; k < columns.end;) {
                const int64_t first = k / kWeights * kWeights, end = std::min(columns.end, first + kWeights);
                decode(block(row, k), weights.data());
                out = std::copy(weights.data() + (k - first), weights.data() + (end - first), out);
                k = end;
            }
    }

    bool read_integers(Range rows, Range columns, int8_t* values, float* scales) const override {
        if constexpr (WholeNumbers<Block>) {
            static_assert(kWeights == kGroup);
            if (columns.begin % kGroup || columns.end % kGroup) return false;
            for (int64_t row = rows.begin; row < rows.end; ++row)
                for (int64_t k = columns.begin; k < columns.end; k += kGroup, values += kGroup)
                    *scales++ = Block::integers(block(row, k), values);
            return true;
        } else {
            return MatrixReader::read_integers(rows, columns, values, scales);
        }
    }

private:
    static constexpr int64_t kWeights = Block::kShape.weights;

    const std::byte* block(int64_t row, int64_t k) const {
        return values_ + row * row_bytes_ + k / kWeights * Block::kShape.bytes;
    }
    static void decode(const std::byte* block, float* out) {
        if constexpr (WholeNumbers<Block>) {
            std::array<int8_t, static_cast<size_t>(kWeights)> values;
            const float scale = Block::integers(block, values.data());
            for (int8_t value : values) *out++ = scale * static_cast<float>(value);
        } else {
            Block::floats(block, out);
        }
    }

    const std::byte* values_;
    const int64_t row_bytes_;
};

}  // namespace

BlockShape block_shape(Encoding encoding) {
    switch (encoding) {
        case Encoding::q8_0: return Q8_0::kShape;
        case Encoding::q4_0: return Q4_0::kShape;
        case Encoding::q4_k: return Q4K::kShape;
        case Encoding::q5_k: return Q5K::kShape;
        default: return Q6K::kShape;
    }
}

std::unique_ptr<MatrixReader> open_blocks(const EncodedMatrix& matrix, int64_t columns) {
    switch (matrix.encoding) {
        case Encoding::q8_0: return std::make_unique<BlockReader<Q8_0>>(matrix, columns);
        case Encoding::q4_0: return std::make_unique<BlockReader<Q4_0>>(matrix, columns);
        case Encoding::q4_k: return std::make_unique<BlockReader<Q4K>>(matrix, columns);
        case Encoding::q5_k: return std::make_unique<BlockReader<Q5K>>(matrix, columns);
        default: return std::make_unique<BlockReader<Q6K>>(matrix, columns);
    }
}

}  // namespace qwen3::gguf
