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

// Whole numbers as the file has them, with a scale for each row and group of 32 columns.
struct Integers {
    std::array<int8_t, kTileWeights> values;
    std::array<float, kTileWeights / kGroup> scales;
};

// One row's group in a block: a scale and 32 values.
template <bool kFourBits>
class Group {
public:
    static constexpr int64_t kBlockBytes = kFourBits ? kInt4BlockBytes : kInt8BlockBytes;

    Group(std::byte* block, int64_t row, int64_t half)
        : scale_(block + (row * 2 + half) * 2),
          values_(block + kScaleBytes + half * (kBlockBytes - kScaleBytes) / 2),
          row_(row) {}

    void store(float scale, const int8_t* values, int64_t count) {
        const Bf16 rounded = to_bf16(scale);
        std::memcpy(scale_, &rounded, sizeof rounded);
        for (int64_t k = 0; k < count; ++k) {
            if constexpr (kFourBits) {
                std::byte& pair = values_[offset_of_pair(row_, k)];
                const int shift = k % 8 < 4 ? 0 : 4;
                pair = (pair & static_cast<std::byte>(0xf0 >> shift)) |
                       static_cast<std::byte>((within(values[k]) + 8) << shift);
            } else {
                values_[offset_of_byte(row_, k)] = static_cast<std::byte>(values[k]);
            }
        }
    }
    // Sum of squares of what is stored less the weights.
    float error(float scale, const int8_t* values, int64_t count) const {
        const float own = to_f32(read<Bf16>(scale_, 0));
        float sum = 0.0F;
        for (int64_t k = 0; k < count; ++k) {
            const int pair = std::to_integer<int>(values_[offset_of_pair(row_, k)]);
            const int stored = (k % 8 < 4 ? pair & 15 : pair >> 4) - 8;
            sum += square(own * static_cast<float>(stored) - scale * static_cast<float>(values[k]));
        }
        return sum;
    }
    // The same of what store() would make of them.
    static float error_if_stored(float scale, const int8_t* values, int64_t count) {
        const float own = to_f32(to_bf16(scale));
        float sum = 0.0F;
        for (int64_t k = 0; k < count; ++k)
            sum += square(own * static_cast<float>(within(values[k])) - scale * static_cast<float>(values[k]));
        return sum;
    }

private:
    static int within(int8_t value) { return std::clamp<int>(value, -8, 7); }
    static float square(float x) { return x * x; }

    std::byte* scale_;
    std::byte* values_;
    int64_t row_;
};

// fn(group, scale, values, count) of every row and group of the tile.
template <bool kFourBits, class Fn>
void for_each_group(const Tile& tile, const Integers& integers, std::byte* blocks, Fn&& fn) {
    const int8_t* values = integers.values.data();
    const float* scale = integers.scales.data();
    for (int64_t r = 0; r < tile.rows.size(); ++r)
        for (int64_t k = 0; k < tile.width(); k += kGroup) {
            const int64_t count = std::min(kGroup, tile.width() - k);
            std::byte* block = blocks + k / kBlock * Group<kFourBits>::kBlockBytes;
            fn(Group<kFourBits>(block, r, k % kBlock / kGroup), *scale++, values, count);
            values += count;
        }
}

void keep_int8(const Tile& tile, const Integers& integers, std::byte* blocks) {
    for_each_group<false>(tile, integers, blocks,
                          [](Group<false> group, float scale, const int8_t* values, int64_t count) {
                              group.store(scale, values, count);
                          });
}

// Where a group does not fit four bits, it is rounded anew, unless cutting off what does not fit is nearer.
void keep_int4(const Tile& tile, const Integers& integers, const Kernels& kernels, std::byte* blocks) {
    const auto count = static_cast<size_t>(tile.rows.size() * tile.width());
    const auto fits = [](int8_t value) { return value >= -8 && value <= 7; };
    const bool all_fit = std::all_of(integers.values.data(), integers.values.data() + count, fits);
    if (!all_fit) {
        alignas(64) std::array<float, kTileWeights> weights;
        float* weight = weights.data();
        for_each_group<true>(tile, integers, blocks,
                             [&](const Group<true>&, float scale, const int8_t* values, int64_t n) {
                                 for (int64_t k = 0; k < n; ++k) *weight++ = scale * static_cast<float>(values[k]);
                             });
        round_to_integers(tile, weights.data(), kernels.quantize_int4, kInt4BlockBytes, blocks);
    }
    using FourBits = Group<true>;
    for_each_group<true>(tile, integers, blocks, [&](FourBits group, float scale, const int8_t* values, int64_t n) {
        if (all_fit || FourBits::error_if_stored(scale, values, n) <= group.error(scale, values, n))
            group.store(scale, values, n);
    });
}

}  // namespace

void fill_decoded(const MatrixReader& reader, const Slice& slice, WeightType type, const Kernels& kernels,
                  int64_t panel, std::byte* out) {
    alignas(64) std::array<float, kTileWeights> weights;
    Integers integers;
    const int64_t first = slice.rows.begin + panel * kPanel;
    const Range rows{first, std::min(slice.rows.end, first + kPanel)};
    const int64_t columns = slice.columns.size();
    for (int64_t begin = 0; begin < columns; begin += kTile) {
        const int64_t end = std::min(columns, begin + kTile);
        const Tile tile{rows, {slice.columns.begin + begin, slice.columns.begin + end}, begin};
        const bool four = type == WeightType::int4;
        std::byte* blocks = out + begin / kBlock * (four ? kInt4BlockBytes : kInt8BlockBytes);
        if (is_integer(type) &&
            reader.read_integers(tile.rows, tile.columns, integers.values.data(), integers.scales.data())) {
            if (four)
                keep_int4(tile, integers, kernels, blocks);
            else
                keep_int8(tile, integers, blocks);
            continue;
        }
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
