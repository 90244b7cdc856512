// The control groups that this process is in: the limits of every one of them hold.
#pragma once

#include <string>
#include <vector>

namespace qwen3 {

// Folders from the process's own group up to the outermost that can be seen. Some may not exist: a container sees its
// own group as the root, under whatever name. root: where /proc and /sys begin.
std::vector<std::string> control_groups(const std::string& root);

// The same for version 1, where every controller ("cpu", "memory") has groups of its own.
std::vector<std::string> control_groups_v1(const std::string& root, const std::string& controller);

}  // namespace qwen3
