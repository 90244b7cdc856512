// A stored matrix as floats or as whole numbers with scales, one small rectangle at a time: the floats of a whole
// matrix never exist.
#pragma once

#include <cstdint>
#include <memory>

#include "qwen3/encoding.hpp"
#include "qwen3/range.hpp"

namespace qwen3 {

class MatrixReader {
public:
    static constexpr int64_t kRows = 16;      // of one rectangle, at most
    static constexpr int64_t kColumns = 256;  // of one rectangle, at most
    static constexpr int64_t kGroup = 32;     // columns that share a scale of whole numbers

    virtual ~MatrixReader() = default;

    // out[rows, columns] = the weights, each rounded to float once.
    virtual void read(Range rows, Range columns, float* out) const = 0;

    // The weights as values[rows, columns] times scales[rows, ceil(columns / 32)], exactly. False where they are not of
    // this form; then the arrays hold nothing of use.
    virtual bool read_integers(Range /*rows*/, Range /*columns*/, int8_t* /*values*/, float* /*scales*/) const {
        return false;
    }
};

// A reader of a valid matrix of that shape; the matrix must outlive it.
std::unique_ptr<MatrixReader> open_reader(const EncodedMatrix& matrix, int64_t rows, int64_t columns);

}  // namespace qwen3
