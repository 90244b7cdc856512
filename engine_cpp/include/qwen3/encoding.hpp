// How quantized checkpoints store a matrix [out, in]: the arrays that a file keeps of it, and what they mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qwen3 {

// Values are multiplied by the scale of their block. Whole numbers are first reduced by their block's zero point.
enum class Encoding : uint8_t {
    fp8,     // f8_e4m3 [out, in]; scales [blocks of rows, blocks of columns]
    int8,    // i8 [out, in]; scales and zeros (i8, may be absent: 0) [out, groups]
    packed,  // compressed-tensors: i32 [out, in * bits / 32], low bits first, values and zeros raised by 2^(bits - 1);
             // scales [out, groups]; zeros, packed along the rows, [out * bits / 32, groups], may be absent
    gptq,    // i32 [in * bits / 32, out], low bits first; scales [groups, out]; zeros [groups, out * bits / 32]
    awq,     // i32 [in, out / 8], nibbles in the order of columns 0 2 4 6 1 3 5 7; scales [groups, out]; zeros alike
    q8_0,    // GGUF's, u8 [out, bytes of a row], which hold scales and zeros between the values:
    q4_0,    // blocks of 32
    q4_k,    // blocks of 256
    q5_k,
    q6_k,
};

std::string_view encoding_name(Encoding encoding);
std::optional<Encoding> parse_encoding(std::string_view name);

// The values, and what the others are made of.
enum class PartType : uint8_t { f32, f16, bf16, f8_e4m3, i8, u8, i32 };

size_t size_of(PartType type);
std::optional<PartType> parse_part_type(std::string_view name);  // as safetensors has them, in small letters

struct Part {
    const std::byte* data = nullptr;  // row-major, at any address; null = absent
    PartType type = PartType::f32;
    std::vector<int64_t> shape;

    size_t nbytes() const;
};

struct EncodedMatrix {
    Encoding encoding = Encoding::int8;
    int bits = 8;               // of a value
    int64_t block_rows = 1;     // that share a scale; 1 but for fp8
    int64_t block_columns = 1;  // that share a scale: the group, which may exceed the matrix
    int zero_offset = 0;        // what stored zero points lack: 1 in the first version of GPTQ's format
    Part values, scales, zeros;
    Part group_index;           // i32 [in]: the group of each column, where groups are not successive columns

    size_t nbytes() const;

    // Throws CheckpointError, beginning with `name`, unless the parts are those of a matrix of that shape: then every
    // byte that a reader touches is there.
    void validate(const std::vector<int64_t>& matrix, const std::string& name) const;
};

}  // namespace qwen3
