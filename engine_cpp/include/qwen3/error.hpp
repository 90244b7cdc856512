// Typed errors of the engine. Every message says what was read, what was expected and what to do about it.
#pragma once

#include <stdexcept>
#include <string>

namespace qwen3 {

class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// A model shape or an option that contradicts itself or is not supported.
class ConfigError : public Error {
public:
    using Error::Error;
};

// A weight that is missing, wrongly shaped or of an unknown type.
class CheckpointError : public Error {
public:
    using Error::Error;
};

// A device that does not exist, cannot hold its shard, or failed during a step.
class DeviceError : public Error {
public:
    using Error::Error;
};

// Host or device memory, or the KV budget, is exhausted.
class OutOfMemory : public Error {
public:
    using Error::Error;
};

// More tokens than the context holds.
class ContextOverflow : public Error {
public:
    using Error::Error;
};

// The caller asked to stop (for instance the progress callback during loading).
class Cancelled : public Error {
public:
    using Error::Error;
};

}  // namespace qwen3
