#include "ops/cpu/decoded_panel.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "ops/cpu/convert.hpp"
#include "ops/cpu/panel_layout.hpp"

namespace qwen3::cpu {
namespace {

static_assert(MatrixReader::kRows >= kPanel && MatrixReader::kGroup == kGroup);
static_assert(MatrixReader::kColumns % kBlock == 0);

constexpr int64_t kTile = MatrixReader::kColumns;
constexpr auto kTileWeights = static_cast<size_t>(kPanel * kTile);

// Some columns of the panel's rows; the first tile begins at the panel's first column.
struct Tile {
    Range rows, columns;  // of the stored matrix
    int64_t first;        // column of the panel

    int64_t width() const { return columns.size(); }
};

template <class Packed>
void store_floats(const Tile& tile, const float* weights, std::byte* panel) {
    auto* packed = reinterpret_cast<Packed*>(panel);
    for (int64_t r = 0; r < tile.rows.size(); ++r)
        for (int64_t k = 0; k < tile.width(); ++k)
            packed[offset_in_panel<Packed>(r, tile.first + k)] = convert<Packed>(weights[r * tile.width() + k]);
}

void round_to_integers(const Tile& tile, const float* weights, void (*quantize)(const float*, void*),
                       int64_t block_bytes, std::byte* out) {
    alignas(64) std::array<float, static_cast<size_t>(kBlock * kPanel)> block{};
    for (int64_t begin = 0; begin < tile.width(); begin += kBlock, out += block_bytes) {
        const int64_t width = std::min(kBlock, tile.width() - begin);
        if (width < kBlock) block.fill(0.0F);
        for (int64_t r = 0; r < tile.rows.size(); ++r)
            for (int64_t k = 0; k < width; ++k)
                block[static_cast<size_t>(k * kPanel + r)] = weights[r * tile.width() + begin + k];
        quantize(block.data(), out);
    }
}

// False if they are not integers of this many bits.
template <bool kFourBits>
bool keep_integers(const MatrixReader& reader, const Tile& tile, std::byte* out) {
    constexpr int64_t kBytes = kFourBits ? kInt4BlockBytes : kInt8BlockBytes;
    constexpr int64_t kGroupBytes = (kBytes - kScaleBytes) / 2;
    std::array<int8_t, kTileWeights> values;
    std::array<float, kTileWeights / kGroup> scales;
    if (!reader.read_integers(tile.rows, tile.columns, values.data(), scales.data())) return false;
    const auto count = static_cast<size_t>(tile.rows.size() * tile.width());
    if (kFourBits)
        for (size_t i = 0; i < count; ++i)
            if (values[i] < -8 || values[i] > 7) return false;
    const int8_t* value = values.data();
    const float* scale = scales.data();
    for (int64_t r = 0; r < tile.rows.size(); ++r)
        for (int64_t k = 0; k < tile.width(); ++scale) {
            std::byte* block = out + k / kBlock * kBytes;
            const int64_t half = k % kBlock / kGroup, width = std::min(kGroup, tile.width() - k);
            const Bf16 rounded = to_bf16(*scale);
            std::memcpy(block + (r * 2 + half) * 2, &rounded, sizeof rounded);
            std::byte* group = block + kScaleBytes + half * kGroupBytes;
            for (int64_t i = 0; i < width; ++i, ++k, ++value) {
                if constexpr (kFourBits)  // both halves of the byte are 0 at first
                    group[offset_of_pair(r, i)] |= static_cast<std::byte>((*value + 8) << (i % 8 < 4 ? 0 : 4));
                else
                    group[offset_of_byte(r, i)] = static_cast<std::byte>(*value);
            }
        }
    return true;
}

}  // namespace

void fill_decoded(const MatrixReader& reader, const Slice& slice, WeightType type, const Kernels& kernels,
                  int64_t panel, std::byte* out) {
    alignas(64) std::array<float, kTileWeights> weights;
    const int64_t first = slice.rows.begin + panel * kPanel;
    const Range rows{first, std::min(slice.rows.end, first + kPanel)};
    const int64_t columns = slice.columns.size();
    for (int64_t begin = 0; begin < columns; begin += kTile) {
        const int64_t end = std::min(columns, begin + kTile);
        const Tile tile{rows, {slice.columns.begin + begin, slice.columns.begin + end}, begin};
        const bool four = type == WeightType::int4;
        std::byte* blocks = out + begin / kBlock * (four ? kInt4BlockBytes : kInt8BlockBytes);
        if (four ? keep_integers<true>(reader, tile, blocks)
                 : type == WeightType::int8 && keep_integers<false>(reader, tile, blocks))
            continue;
        reader.read(tile.rows, tile.columns, weights.data());
        switch (type) {
            case WeightType::f32: store_floats<float>(tile, weights.data(), out); break;
            case WeightType::f16: store_floats<F16>(tile, weights.data(), out); break;
            case WeightType::bf16: store_floats<Bf16>(tile, weights.data(), out); break;
            case WeightType::int8:
                round_to_integers(tile, weights.data(), kernels.quantize_int8, kInt8BlockBytes, blocks);
                break;
            case WeightType::int4:
                round_to_integers(tile, weights.data(), kernels.quantize_int4, kInt4BlockBytes, blocks);
                break;
        }
    }
}

}  // namespace qwen3::cpu
