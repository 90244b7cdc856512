// The smallest harness that names what failed: a program is a list of named cases; it exits with the number that
// failed.
#pragma once

#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace qwen3::test {

struct Case {
    const char* name;
    std::function<void()> body;
};

inline std::vector<Case>& cases() {
    static std::vector<Case> all;
    return all;
}

struct Register {
    Register(const char* name, std::function<void()> body) { cases().push_back({name, std::move(body)}); }
};

class Failure : public std::exception {
public:
    Failure(const char* file, int line, const std::string& what)
        : text_(std::string(file) + ":" + std::to_string(line) + ": " + what) {}
    const char* what() const noexcept override { return text_.c_str(); }

private:
    std::string text_;
};

inline int run_all() {
    int failed = 0;
    for (const Case& c : cases()) {
        try {
            c.body();
            std::printf("ok    %s\n", c.name);
        } catch (const std::exception& error) {
            std::printf("FAIL  %s\n      %s\n", c.name, error.what());
            ++failed;
        }
    }
    return failed;
}

}  // namespace qwen3::test

#define QWEN3_JOIN_(a, b) a##b
#define QWEN3_JOIN(a, b) QWEN3_JOIN_(a, b)
#define TEST(name, ...) static const qwen3::test::Register QWEN3_JOIN(registered_, __LINE__)(name, [] __VA_ARGS__)

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) throw qwen3::test::Failure(__FILE__, __LINE__, #condition); \
    } while (false)

// The statement must throw the type, with a message that holds the text.
#define CHECK_THROWS(statement, Type, text)                                                                 \
    do {                                                                                                    \
        bool thrown = false;                                                                                \
        try {                                                                                               \
            statement;                                                                                      \
        } catch (const Type& error) {                                                                       \
            thrown = true;                                                                                  \
            if (std::string(error.what()).find(text) == std::string::npos)                                  \
                throw qwen3::test::Failure(__FILE__, __LINE__, std::string("message is: ") + error.what()); \
        }                                                                                                   \
        if (!thrown) throw qwen3::test::Failure(__FILE__, __LINE__, #statement " did not throw " #Type);    \
    } while (false)

#define TEST_MAIN() \
    int main() { return qwen3::test::run_all(); }
