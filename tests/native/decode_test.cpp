// Every encoding of quantized checkpoints: any rectangle says the same, nothing outside the parts is touched (they are
// exactly as large as they must be, at odd addresses), and what is not a matrix is refused.
#include "qwen3/encoding.hpp"

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "check.hpp"
#include "decode/gguf_blocks.hpp"
#include "decode/reader.hpp"
#include "ops/cpu/packed_matrix.hpp"
#include "qwen3/error.hpp"

using namespace qwen3;

namespace {

constexpr Encoding kEncodings[] = {Encoding::fp8,  Encoding::int8, Encoding::packed, Encoding::gptq, Encoding::awq,
                                   Encoding::q8_0, Encoding::q4_0, Encoding::q4_k,   Encoding::q5_k, Encoding::q6_k};

int64_t up(int64_t n, int64_t by) { return (n + by - 1) / by; }

// A matrix of random parts, which it owns.
struct Sample {
    int64_t rows, columns;
    EncodedMatrix matrix;
    std::vector<std::unique_ptr<std::vector<std::byte>>> storage;
    std::mt19937 random{7};

    Part part(PartType type, std::vector<int64_t> shape) {
        Part made{.data = nullptr, .type = type, .shape = std::move(shape)};
        size_t bytes = size_of(type);
        for (int64_t n : made.shape) bytes *= static_cast<size_t>(n);
        auto buffer = std::make_unique<std::vector<std::byte>>(bytes + 1);
        for (std::byte& byte : *buffer) byte = static_cast<std::byte>(random() & 255);
        std::byte* data = buffer->data() + 1;
        if (type == PartType::f32)
            for (size_t i = 0; i < bytes / 4; ++i) {
                const float scale = 0.01F + 0.001F * static_cast<float>(random() % 16);
                std::memcpy(data + i * 4, &scale, 4);
            }
        if (type == PartType::f8_e4m3)
            for (size_t i = 0; i < bytes; ++i)
                if ((data[i] & std::byte{0x7f}) == std::byte{0x7f}) data[i] = std::byte{0};  // no NaN
        made.data = data;
        storage.push_back(std::move(buffer));
        return made;
    }

    // Halves that lie among a block's bytes: about 0.06, so that no weight is infinite.
    void tame(int64_t block_bytes, std::initializer_list<int64_t> places) {
        auto* data = const_cast<std::byte*>(matrix.values.data);
        for (int64_t block = 0; block < static_cast<int64_t>(matrix.values.nbytes()) / block_bytes; ++block)
            for (int64_t place : places) data[block * block_bytes + place + 1] = std::byte{0x2c};
    }

    explicit Sample(Encoding encoding, int bits = 4, bool indexed = false, int64_t rows_ = 40, int64_t columns_ = 512)
        : rows(rows_), columns(columns_) {
        matrix.encoding = encoding;
        matrix.bits = bits;
        matrix.block_columns = 64;
        const int64_t groups = up(columns, 64);
        switch (encoding) {
            case Encoding::fp8:
                matrix.block_rows = 24;
                matrix.values = part(PartType::f8_e4m3, {rows, columns});
                matrix.scales = part(PartType::f32, {up(rows, 24), groups});
                break;
            case Encoding::int8:
                matrix.values = part(PartType::i8, {rows, columns});
                matrix.scales = part(PartType::f32, {rows, groups});
                matrix.zeros = part(PartType::i8, {rows, groups});
                break;
            case Encoding::packed:
                matrix.values = part(PartType::i32, {rows, up(columns * bits, 32)});
                matrix.scales = part(PartType::f32, {rows, groups});
                matrix.zeros = part(PartType::i32, {up(rows * bits, 32), groups});
                break;
            case Encoding::gptq:
                matrix.zero_offset = 1;
                matrix.values = part(PartType::i32, {columns * bits / 32, rows});
                matrix.scales = part(PartType::f32, {groups, rows});
                matrix.zeros = part(PartType::i32, {groups, rows * bits / 32});
                break;
            case Encoding::awq:
                matrix.values = part(PartType::i32, {columns, rows / 8});
                matrix.scales = part(PartType::f32, {groups, rows});
                matrix.zeros = part(PartType::i32, {groups, rows / 8});
                break;
            default: {
                const gguf::BlockShape block = gguf::block_shape(encoding);
                matrix.values = part(PartType::u8, {rows, columns / block.weights * block.bytes});
                if (encoding == Encoding::q6_k)
                    tame(block.bytes, {208});
                else if (encoding == Encoding::q4_k || encoding == Encoding::q5_k)
                    tame(block.bytes, {0, 2});
                else
                    tame(block.bytes, {0});
            }
        }
        if (indexed) {
            matrix.group_index = part(PartType::i32, {columns});
            auto* data = const_cast<std::byte*>(matrix.group_index.data);
            for (int64_t k = 0; k < columns; ++k) {
                const auto group = static_cast<int32_t>(random() % static_cast<unsigned>(groups));
                std::memcpy(data + k * 4, &group, 4);
            }
        }
        matrix.validate({rows, columns}, "sample");
    }
};

std::vector<Sample> samples() {
    std::vector<Sample> all;
    for (Encoding encoding : kEncodings) all.emplace_back(encoding);
    all.emplace_back(Encoding::packed, 8);
    all.emplace_back(Encoding::gptq, 8);
    all.emplace_back(Encoding::gptq, 4, true);
    all.emplace_back(Encoding::packed, 4, true);
    all.emplace_back(Encoding::packed, 4, false, 13, 100);  // words and groups that are not full
    all.emplace_back(Encoding::int8, 8, false, 13, 100);
    all.emplace_back(Encoding::fp8, 8, false, 13, 100);
    return all;
}

// The whole matrix, from rectangles as large as they may be.
std::vector<float> whole(const MatrixReader& reader, int64_t rows, int64_t columns) {
    std::vector<float> out(static_cast<size_t>(rows * columns));
    std::vector<float> piece(static_cast<size_t>(MatrixReader::kRows * MatrixReader::kColumns));
    for (int64_t r = 0; r < rows; r += MatrixReader::kRows)
        for (int64_t k = 0; k < columns; k += MatrixReader::kColumns) {
            const Range some{r, std::min(rows, r + MatrixReader::kRows)};
            const Range across{k, std::min(columns, k + MatrixReader::kColumns)};
            reader.read(some, across, piece.data());
            for (int64_t i = 0; i < some.size(); ++i)
                std::copy_n(piece.data() + i * across.size(), across.size(), out.data() + (r + i) * columns + k);
        }
    return out;
}

TensorView view(const Sample& sample) {
    return {.data = sample.matrix.values.data,
            .dtype = DType::f32,
            .shape = {sample.rows, sample.columns},
            .encoded = std::make_shared<EncodedMatrix>(sample.matrix)};
}

}  // namespace

TEST("names", {
    for (Encoding encoding : kEncodings) CHECK(parse_encoding(encoding_name(encoding)) == encoding);
    CHECK(!parse_encoding("q2_k"));
    for (const char* name : {"f32", "f16", "bf16", "f8_e4m3", "i8", "u8", "i32"}) CHECK(parse_part_type(name));
    CHECK(!parse_part_type("i64"));
});

TEST("any rectangle says the same", {
    for (const Sample& sample : samples()) {
        const auto reader = open_reader(sample.matrix, sample.rows, sample.columns);
        const std::vector<float> all = whole(*reader, sample.rows, sample.columns);
        for (const float weight : all) CHECK(std::isfinite(weight));
        std::mt19937 random(3);
        std::vector<float> piece(static_cast<size_t>(MatrixReader::kRows * MatrixReader::kColumns));
        for (int round = 0; round < 200; ++round) {
            const auto row = static_cast<int64_t>(random() % static_cast<unsigned>(sample.rows));
            const auto k = static_cast<int64_t>(random() % static_cast<unsigned>(sample.columns));
            const Range rows{row, std::min(sample.rows, row + 1 + static_cast<int64_t>(random() % 16))};
            const Range columns{k, std::min(sample.columns, k + 1 + static_cast<int64_t>(random() % 256))};
            reader->read(rows, columns, piece.data());
            const float* from = piece.data();
            for (int64_t r = rows.begin; r < rows.end; ++r)
                for (int64_t c = columns.begin; c < columns.end; ++c)
                    CHECK(*from++ == all[static_cast<size_t>(r * sample.columns + c)]);
        }
    }
});

TEST("whole numbers times their scales are the weights", {
    int kept = 0;
    for (const Sample& sample : samples()) {
        const auto reader = open_reader(sample.matrix, sample.rows, sample.columns);
        const Range rows{0, std::min<int64_t>(sample.rows, 16)};
        for (int64_t first : {0, 32, 17}) {
            const Range columns{first, std::min<int64_t>(sample.columns, first + 96)};
            std::vector<float> weights(static_cast<size_t>(rows.size() * columns.size()));
            std::vector<int8_t> values(weights.size());
            const int64_t groups = up(columns.size(), MatrixReader::kGroup);
            std::vector<float> scales(static_cast<size_t>(rows.size() * groups));
            if (!reader->read_integers(rows, columns, values.data(), scales.data())) continue;
            ++kept;
            reader->read(rows, columns, weights.data());
            for (int64_t r = 0; r < rows.size(); ++r)
                for (int64_t k = 0; k < columns.size(); ++k) {
                    const auto i = static_cast<size_t>(r * columns.size() + k);
                    const float scale = scales[static_cast<size_t>(r * groups + k / MatrixReader::kGroup)];
                    CHECK(static_cast<float>(values[i]) * scale == weights[i]);
                }
        }
    }
    CHECK(kept >= 8);
});

TEST("a panel holds what the file means, whatever the slice", {
    ThreadPool pool(2, {0, 50});
    for (const Sample& sample : samples()) {
        const auto reader = open_reader(sample.matrix, sample.rows, sample.columns);
        const std::vector<float> all = whole(*reader, sample.rows, sample.columns);
        const TensorView weight = view(sample);
        for (const Slice& slice : {Slice{{0, sample.rows}, {0, sample.columns}}, Slice{{5, 13}, {32, 96}},
                                   Slice{{1, 12}, {3, sample.columns - 1}}})
            for (WeightType type :
                 {WeightType::f32, WeightType::f16, WeightType::bf16, WeightType::int8, WeightType::int4}) {
                const cpu::PackedMatrix packed(weight, slice, type, cpu::select_kernels(), pool);
                std::vector<float> row(static_cast<size_t>(slice.columns.size()));
                for (int64_t r = 0; r < slice.rows.size(); ++r) {
                    packed.read_row(r, row.data());
                    const float* exact = all.data() + (slice.rows.begin + r) * sample.columns + slice.columns.begin;
                    float largest = 0;
                    for (size_t k = 0; k < row.size(); ++k) largest = std::max(largest, std::fabs(exact[k]));
                    const float step = type == WeightType::f32    ? 0.0F
                                       : type == WeightType::f16  ? 0x1p-11F
                                       : type == WeightType::bf16 ? 0x1p-8F
                                       : type == WeightType::int8 ? 1.0F / 127
                                                                  : 1.0F;
                    float squares = 0;
                    for (size_t k = 0; k < row.size(); ++k) {
                        const float error = std::fabs(row[k] - exact[k]);
                        CHECK(error <= step * largest);
                        squares += error * error;
                    }
                    // Four bits cut one weight off where that serves the others.
                    CHECK(squares <= largest * largest / 196 * static_cast<float>(row.size()));
                }
            }
    }
});

TEST("a part that is not of the matrix is refused by name", {
    for (const Sample& sample : samples())
        for (Part EncodedMatrix::* part :
             {&EncodedMatrix::values, &EncodedMatrix::scales, &EncodedMatrix::zeros, &EncodedMatrix::group_index}) {
            if (!(sample.matrix.*part).data) continue;
            for (size_t axis = 0; axis < (sample.matrix.*part).shape.size(); ++axis) {
                EncodedMatrix wrong = sample.matrix;
                (wrong.*part).shape[axis] -= 1;
                CHECK_THROWS(wrong.validate({sample.rows, sample.columns}, "blk"), CheckpointError, "blk: ");
            }
            EncodedMatrix wrong = sample.matrix;
            (wrong.*part).type = PartType::u8;
            if (sample.matrix.values.type != PartType::u8)
                CHECK_THROWS(wrong.validate({sample.rows, sample.columns}, "blk"), CheckpointError, "are u8");
            wrong = sample.matrix;
            (wrong.*part).data = nullptr;
            const bool optional = part == &EncodedMatrix::group_index ||
                                  (part == &EncodedMatrix::zeros && (sample.matrix.encoding == Encoding::int8 ||
                                                                     sample.matrix.encoding == Encoding::packed));
            if (!optional)
                CHECK_THROWS(wrong.validate({sample.rows, sample.columns}, "blk"), CheckpointError, "missing");
        }
});

TEST("what cannot be is refused", {
    Sample awq(Encoding::awq);
    const std::vector<int64_t> shape = {awq.rows, awq.columns};
    CHECK_THROWS(awq.matrix.validate({awq.rows * awq.columns}, "w"), CheckpointError, "no matrix");
    CHECK_THROWS(awq.matrix.validate({awq.rows, awq.columns + 1}, "w"), CheckpointError, "expected");
    awq.matrix.bits = 8;
    CHECK_THROWS(awq.matrix.validate(shape, "w"), CheckpointError, "AWQ has 4");
    awq.matrix.bits = 4;
    awq.matrix.block_columns = 0;
    CHECK_THROWS(awq.matrix.validate(shape, "w"), CheckpointError, "blocks of less");
    Sample gptq(Encoding::gptq, 4, true);
    const int32_t far = 8;
    std::memcpy(const_cast<std::byte*>(gptq.matrix.group_index.data) + 40, &far, 4);
    CHECK_THROWS(gptq.matrix.validate(shape, "w"), CheckpointError, "group index 8 of column 10; there are 8 groups");
    Sample gguf(Encoding::q4_k);
    CHECK_THROWS(gguf.matrix.validate({gguf.rows, 500}, "w"), CheckpointError, "whole blocks of 256");
    gguf.matrix.scales = gptq.matrix.scales;
    CHECK_THROWS(gguf.matrix.validate(shape, "w"), CheckpointError, "no scales of its own");
});

TEST_MAIN()
