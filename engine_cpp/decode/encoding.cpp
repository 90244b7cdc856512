#include "qwen3/encoding.hpp"

#include <array>
#include <cstring>

#include "decode/gguf_blocks.hpp"
#include "qwen3/error.hpp"

namespace qwen3 {
namespace {

struct PartTypeName {
    PartType type;
    std::string_view name;
    size_t bytes;
};
constexpr std::array<PartTypeName, 7> kPartTypes = {{
    {PartType::f32, "f32", 4},
    {PartType::f16, "f16", 2},
    {PartType::bf16, "bf16", 2},
    {PartType::f8_e4m3, "f8_e4m3", 1},
    {PartType::i8, "i8", 1},
    {PartType::u8, "u8", 1},
    {PartType::i32, "i32", 4},
}};

struct EncodingName {
    Encoding encoding;
    std::string_view name;
};
constexpr std::array<EncodingName, 10> kEncodings = {{
    {Encoding::fp8, "fp8"},
    {Encoding::int8, "int8"},
    {Encoding::packed, "packed"},
    {Encoding::gptq, "gptq"},
    {Encoding::awq, "awq"},
    {Encoding::q8_0, "q8_0"},
    {Encoding::q4_0, "q4_0"},
    {Encoding::q4_k, "q4_k"},
    {Encoding::q5_k, "q5_k"},
    {Encoding::q6_k, "q6_k"},
}};

std::string_view part_type_name(PartType type) { return kPartTypes[static_cast<size_t>(type)].name; }

int64_t ceil_div(int64_t n, int64_t by) { return (n - 1) / by + 1; }  // n, by > 0; no overflow

std::string shape_text(const std::vector<int64_t>& shape) {
    std::string text = "[";
    for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}

// Checks of one matrix; its name and the expected arrays are in every message.
class Checker {
public:
    Checker(const EncodedMatrix& matrix, std::string name) : matrix_(matrix), name_(std::move(name)) {}

    [[noreturn]] void fail(const std::string& what) const { throw CheckpointError(name_ + ": " + what); }

    void part(const Part& part, const char* role, std::initializer_list<PartType> types,
              const std::vector<int64_t>& shape) const {
        const std::string encoding(encoding_name(matrix_.encoding));
        if (!part.data) fail(encoding + " " + role + " are missing; expected " + shape_text(shape));
        bool known = false;
        for (PartType type : types) known |= part.type == type;
        if (!known) fail(encoding + " " + role + " are " + std::string(part_type_name(part.type)));
        if (part.shape != shape)
            fail(encoding + " " + role + " have shape " + shape_text(part.shape) + "; expected " + shape_text(shape));
    }
    void scales(const std::vector<int64_t>& shape) const {
        part(matrix_.scales, "scales", {PartType::f32, PartType::f16, PartType::bf16}, shape);
    }
    void absent(const Part& part, const char* role) const {
        if (part.data) fail(std::string(encoding_name(matrix_.encoding)) + " has no " + role);
    }
    // Bits of a value that can be packed into words, along an axis of this length.
    void packs(int64_t length, const char* axis) const {
        if (matrix_.bits != 4 && matrix_.bits != 8)
            fail(std::to_string(matrix_.bits) + " bits a value; expected 4 or 8");
        if (length * matrix_.bits % 32)
            fail(std::to_string(length) + " " + axis + " of " + std::to_string(matrix_.bits) +
                 " bits do not fill whole 32-bit words");
    }

private:
    const EncodedMatrix& matrix_;
    const std::string name_;
};

void check_group_index(const Checker& check, const Part& index, int64_t columns, int64_t groups) {
    if (!index.data) return;
    check.part(index, "group indices", {PartType::i32}, {columns});
    for (int64_t k = 0; k < columns; ++k) {
        int32_t group = 0;
        std::memcpy(&group, index.data + k * 4, sizeof group);
        if (group < 0 || group >= groups)
            check.fail("group index " + std::to_string(group) + " of column " + std::to_string(k) + "; there are " +
                       std::to_string(groups) + " groups");
    }
}

}  // namespace

std::string_view encoding_name(Encoding encoding) { return kEncodings[static_cast<size_t>(encoding)].name; }

std::optional<Encoding> parse_encoding(std::string_view name) {
    for (const EncodingName& known : kEncodings)
        if (known.name == name) return known.encoding;
    return std::nullopt;
}

size_t size_of(PartType type) { return kPartTypes[static_cast<size_t>(type)].bytes; }

std::optional<PartType> parse_part_type(std::string_view name) {
    for (const PartTypeName& known : kPartTypes)
        if (known.name == name) return known.type;
    return std::nullopt;
}

size_t Part::nbytes() const {
    if (!data) return 0;
    size_t count = size_of(type);
    for (int64_t n : shape) count *= static_cast<size_t>(n);
    return count;
}

size_t EncodedMatrix::nbytes() const {
    return values.nbytes() + scales.nbytes() + zeros.nbytes() + group_index.nbytes();
}

void EncodedMatrix::validate(const std::vector<int64_t>& matrix, const std::string& name) const {
    const Checker check(*this, name);
    if (matrix.size() != 2) check.fail("is no matrix, and cannot be kept as " + std::string(encoding_name(encoding)));
    const int64_t rows = matrix[0], columns = matrix[1];
    if (block_rows < 1 || block_columns < 1) check.fail("blocks of less than one weight");
    const int64_t groups = ceil_div(columns, block_columns);
    if (encoding != Encoding::fp8 && block_rows != 1) check.fail("only fp8 has blocks of several rows");

    if (encoding != Encoding::gptq && encoding != Encoding::packed) check.absent(group_index, "group indices");
    switch (encoding) {
        case Encoding::fp8:
            check.part(values, "values", {PartType::f8_e4m3}, matrix);
            check.scales({ceil_div(rows, block_rows), groups});
            return check.absent(zeros, "zero points");
        case Encoding::int8:
            check.part(values, "values", {PartType::i8}, matrix);
            check.scales({rows, groups});
            if (zeros.data) check.part(zeros, "zero points", {PartType::i8}, {rows, groups});
            return;
        case Encoding::packed:
            if (bits != 4 && bits != 8) check.fail(std::to_string(bits) + " bits a value; expected 4 or 8");
            check.part(values, "values", {PartType::i32}, {rows, ceil_div(columns * bits, 32)});
            check.scales({rows, groups});
            if (zeros.data) check.part(zeros, "zero points", {PartType::i32}, {ceil_div(rows * bits, 32), groups});
            return check_group_index(check, group_index, columns, groups);
        case Encoding::gptq:
            check.packs(columns, "columns");
            check.packs(rows, "rows");
            check.part(values, "values", {PartType::i32}, {columns * bits / 32, rows});
            check.scales({groups, rows});
            check.part(zeros, "zero points", {PartType::i32}, {groups, rows * bits / 32});
            return check_group_index(check, group_index, columns, groups);
        case Encoding::awq:
            if (bits != 4) check.fail(std::to_string(bits) + " bits a value; AWQ has 4");
            check.packs(rows, "rows");
            check.part(values, "values", {PartType::i32}, {columns, rows / 8});
            check.scales({groups, rows});
            return check.part(zeros, "zero points", {PartType::i32}, {groups, rows / 8});
        case Encoding::q8_0:
        case Encoding::q4_0:
        case Encoding::q4_k:
        case Encoding::q5_k:
        case Encoding::q6_k: {
            const gguf::BlockShape block = gguf::block_shape(encoding);
            if (columns % block.weights)
                check.fail("rows of " + std::to_string(columns) + " are not whole blocks of " +
                           std::to_string(block.weights));
            check.absent(scales, "scales of its own");
            check.absent(zeros, "zero points of its own");
            return check.part(values, "values", {PartType::u8}, {rows, columns / block.weights * block.bytes});
        }
    }
}

}  // namespace qwen3
