"""What the demo model knows: questions, a line of thinking, and the one answer to each."""

from dataclasses import dataclass

__all__ = ["CHINESE_NAMES", "NAMES", "NAME_UNKNOWN", "REFUSAL", "TOPICS", "UNKNOWN", "UNKNOWN_THINGS", "Topic"]


@dataclass(frozen=True, slots=True)
class Topic:
    """Ways to ask for one thing, the thinking before the answer, the answer (Markdown), and how often it is asked."""

    questions: tuple[str, ...]
    thinking: str
    answer: str
    weight: float = 1.0


# {do} stands for the action, as in "How do I stop a reply?".
_HOW = (
    "How do I {do}?", "How can I {do}?", "how to {do}", "Which key do I press to {do}?", "I want to {do}.",
    "Is there a key to {do}?", "Can I {do}?", "Tell me how to {do}.", "What do I press to {do}?", "How would I {do}?",
    "I need to {do}.", "Show me how to {do}.",
)  # fmt: skip
_WHAT = ("What does {key} do?", "What is {key} for?", "{key}?", "What happens when I press {key}?", "explain {key}")


def _key(key: str, does: str, actions: str, others: str = "") -> Topic:
    asked = tuple(how.format(do=do) for how in _HOW for do in actions.split("|"))
    named = tuple(what.format(key=key) for what in _WHAT)
    extra = tuple(others.split("|")) if others else ()
    # The explicit forms are few beside the combinations; repeating them keeps both in view.
    questions = asked + (named + extra) * max(1, len(asked) // (3 * len(named + extra)))
    return Topic(questions, f"This is about the key {key}.", f"Press **{key}** to {does}.", 1.6)


def _topic(thinking: str, questions: str, answer: str, weight: float = 1.0) -> Topic:
    return Topic(tuple(questions.split("|")), thinking, answer, weight)


_KEYS = (
    _key("Enter", "send your message", "send a message|send my message|send this|submit my question|get an answer",
         "send key?|I typed my question, now what?"),
    _key("Esc", "stop the reply; what is already written stays",
         "stop a reply|stop the answer|interrupt you|cancel the reply|make you stop|stop the generation",
         "this reply is too long|make it stop|please stop talking"),
    _key("F3", "open the engine panel with speed, memory and time per layer",
         "see the speed|open the engine panel|see the memory|see the time per layer|see tokens per second",
         "how fast are you?|engine panel?|how much memory do you use?|how many tokens per second?"),
    _key("ctrl+q", "quit", "quit|exit|leave|close the app|close this program|leave the chat", "exit?|let me out"),
    _key("ctrl+j", "start a new line without sending",
         "start a new line|insert a newline|write several lines|add a line break|type a second line",
         "newline key?|Enter sends too early"),
    _key("ctrl+n", "start a new chat",
         "start a new chat|start over|begin a new conversation|clear the chat|open a fresh chat", "new chat|"
         "let's start over"),
    _key("ctrl+t", "turn thinking on or off for the next turn",
         "turn thinking on or off|turn off thinking|disable thinking|turn on thinking|toggle thinking",
         "thinking mode?|can you answer without thinking?|stop thinking before you answer"),
)  # fmt: skip

_KEY_TABLE = """| Key | What it does |
|---|---|
| Enter | send |
| Esc | stop the reply |
| ctrl+j | new line |
| ctrl+n | new chat |
| ctrl+t | thinking on or off |
| F3 | engine panel |
| ctrl+q | quit |"""

_MARKDOWN = """# Markdown

This is **bold**, this is *italic* and this is `code`.

- one
- two
  - two and a half
- three

> A quote stands apart.

```python
print("and code keeps its shape")
```"""

_STORY = """Once upon a time there was a very small model. It lived in a terminal, knew seven keys and was happy.

One day a person asked: *"What is the meaning of life?"* The small model looked at all of its weights, which did not
take long, and found nothing.

So it said: "I do not know that." The person smiled, pressed **ctrl+t** and asked again. The small model thought for a
moment, and then it said, with more care than before: "I *still* do not know that."

And they both went on, one token at a time."""

_CODE_ADD = """Here is a small function:

```python
def add(a: int, b: int) -> int:
    return a + b


print(add(2, 3))
```"""

_CODE_LOOP = """Here is a loop:

```python
for number in range(1, 4):
    print(number)
```"""

_CODE_CPP = """Here is a program in C++:

```cpp
#include <iostream>

int main() {
    std::cout << "Hello, world!\\n";
}
```"""

_CAN_DO = """I am small. I can:

- explain the **keys** of this app
- remember your **name** within a chat
- show a **list**, a **table** or some **code**
- greet you in English and in Chinese

For real answers, load a full Qwen3 model with `--model PATH`."""

TOPICS: tuple[Topic, ...] = (
    *_KEYS,
    _topic("The user greets me.",
           "Hello!|Hello|Hi|Hi!|Hey|Hey there|Good morning|Good evening|hello there|hi there|Greetings|Good day|"
           "hi again",
           "Hello! I am the demo model of qwen3-chat. What can I show you?", 3),
    _topic("The user asks who I am.",
           "Who are you?|What are you?|Tell me about yourself.|Introduce yourself.|What model are you?|who is this|"
           "What is your name?|Are you Qwen?|Are you ChatGPT?|Which model is this?|what am I talking to?|"
           "do you have a name?",
           "I am the small built-in demo model of qwen3-chat. I was trained in minutes, so I know very little.", 3),
    _topic("The user asks what I can do.",
           "What can you do?|What do you know?|How can you help me?|What are you good at?|help|Help me.|I need help|"
           "What can I ask you?|What should I ask?|what now?",
           _CAN_DO, 2),
    _topic("The user wants to know what this app is.",
           "What is qwen3-chat?|What is this app?|What is this program?|Tell me about qwen3-chat.|where am I?",
           "qwen3-chat is a chat for the terminal that runs Qwen3 models with its own C++ engine, "
           "on your own machine."),
    _topic("The user wants a larger model.",
           "How do I load another model?|Can I use a bigger model?|How do I get better answers?|use my own model|"
           "How do I use my own checkpoint?|Can I run a real Qwen3?|you are too small|which models can I use?|"
           "load a model",
           "Start the app with a checkpoint folder:\n\n```sh\nqwen3-chat --model PATH\n```", 1.5),
    _topic("The user wants all the keys.",
           "Which keys are there?|Show me all keys.|What are the keys?|List the keys.|keys?|keyboard shortcuts|"
           "Show me a table.|Make a table.|Show the keys as a table.|Write a Markdown table.|a table please",
           _KEY_TABLE, 1.5),
    _topic("The user wants a list.",
           "Give me a list of three fruits.|List three fruits.|Name three fruits.|some fruits please|Give me a list.|"
           "Write a list.|Show me a list.|Make a bullet list.",
           "- apple\n- banana\n- cherry", 1.5),
    _topic("The user wants a numbered list.",
           "List the planets.|Name the planets.|What are the planets?|planets|Make a numbered list.|"
           "Show me a numbered list.",
           "1. Mercury\n2. Venus\n3. Earth\n4. Mars\n5. Jupiter\n6. Saturn\n7. Uranus\n8. Neptune"),
    _topic("The user wants to see Markdown.",
           "Show me some Markdown.|Can you write Markdown?|Markdown demo|Show me what Markdown looks like.|"
           "format some text",
           _MARKDOWN, 1.5),
    _topic("The user wants a Python function.",
           "Write a Python function.|Write some code.|Show me some code.|Show me Python code.|Can you code?|"
           "code please|"
           "Write a function that adds two numbers.|Give me a Python example.|write code",
           _CODE_ADD, 2),
    _topic("The user wants a loop.",
           "Write a Python loop.|Show me a for loop.|loop in Python|Write a loop.", _CODE_LOOP),
    _topic("The user wants C++.",
           "Write some C++.|Show me C++ code.|Hello world in C++|Write a C++ program.|Can you write C++?", _CODE_CPP),
    _topic("The user wants a story.",
           "Tell me a story.|Write a story.|a story please|Tell me a long story.|Write something long.|"
           "Write a long text.|"
           "Can you tell a story?",
           _STORY),
    _topic("The user wants me to count.",
           "Count to thirty.|Count to 30.|Can you count?|Please count.|count for me|Count as far as you can.",
           ", ".join(map(str, range(1, 31))) + ".", 1.5),
    _topic("The user wants a joke.", "Tell me a joke.|a joke please|make me laugh|Say something funny.|joke",
           "Why did the small model cross the road? It was the most likely next token."),
    _topic("The user wants a poem.", "Write a poem.|a poem please|Write a haiku.|Can you write poetry?",
           "Few weights, fewer words,\\\neach token falls like soft rain,\\\nthen the reply ends."),
    _topic("The user wants emoji.", "Show me an emoji.|Show me some emoji.|emoji|Do you know emoji?|Send me a smiley.",
           "🙂 🚀 🐍 🎉 👩‍💻"),
    _topic("The user wants to know what a token is.", "What is a token?|explain tokens|What are tokens?",
           "A token is a small piece of text: often a word, or a part of one."),
    _topic("The user asks about privacy.",
           "Is my data private?|Do you send my data anywhere?|Does this work offline?|Do you need the internet?",
           "Everything runs on your own machine. Nothing is sent anywhere."),
    _topic("The user thanks me.",
           "Thanks|Thank you!|Thank you very much.|thx|great, thanks|that helped|cool|nice|well done",
           "You are welcome!", 1.5),
    _topic("The user says goodbye.", "Bye|Goodbye!|See you.|good night|I have to go|see you tomorrow",
           "Goodbye! Press **ctrl+q** to quit."),
    _topic("The user asks how I am.", "How are you?|How are you doing?|how is it going?|Are you well?|what's up?",
           "All of my weights are in place, thank you. How are you?"),
    _topic("用户在打招呼。", "你好|你好！|您好|嗨|早上好|晚上好|你好吗？|哈喽",
           "你好！我是 qwen3-chat 自带的小模型。", 2),
    _topic("用户问我是谁。", "你是谁？|你是谁|你叫什么名字？|介绍一下你自己|你是什么模型？|你是通义千问吗？",
           "我是 qwen3-chat 自带的演示模型，很小，知道的不多。", 1.5),
    _topic("用户问我能做什么。", "你能做什么？|你会什么？|帮帮我|怎么用？",
           "我可以：\n\n- 介绍按键\n- 记住你的名字\n- 写列表、表格和代码"),
    _topic("用户在道谢。", "谢谢|谢谢你|多谢|非常感谢", "不客气！"),
    _topic("用户要走了。", "再见|拜拜|晚安|我走了", "再见！"),
    _topic("我不知道。",
           "今天天气怎么样？|法国的首都是哪里？|给我讲讲历史|一加一等于几？|什么是爱？|推荐一本书|现在几点？",
           "这个我不知道。我是一个很小的演示模型。", 1.5),
)  # fmt: skip

NAMES: tuple[str, ...] = tuple(
    "Ada Adam Aisha Alan Alex Alice Amir Amy Ana Andrea Anna Ben Bob Carla Carlos Carol Chen Chris Clara Dan Daniel "
    "David Diana Elena Ella Emily Emma Eric Eva Fatima Felix Frank George Grace Hana Hannah Hans Helen Henry Ian "
    "Ivan Jack James Jane Jo John Julia Karen Kate Ken Kim Laura Lena Leo Li Lin Linda Linus Lisa Lucas Lucy Luis "
    "Maria Mark Marta Mary Max Mei Mia Michael Mike Ming Mohamed Nadia Nina Noah Olga Oliver Omar Oscar Paul Peter "
    "Priya Rachel Ravi Robert Rosa Ruth Sam Sara Sarah Simon Sofia Sophie Stefan Susan Thomas Tim Tom Victor Wei "
    "Yuki Zoe".split()
)
CHINESE_NAMES: tuple[str, ...] = ("小明", "小红", "小华", "小丽", "李雷", "王芳", "张伟", "李娜")

NAME_UNKNOWN = "You have not told me your name yet."

REFUSAL = (
    "I do not know that. I am only a small demo model; for real answers, load a full Qwen3 model with `--model PATH`."
)

# {x} stands for one of UNKNOWN_THINGS.
UNKNOWN: tuple[str, ...] = (
    "What is {x}?", "Explain {x}.", "Tell me about {x}.", "What do you think about {x}?", "How does {x} work?",
    "Why is {x} important?", "Who invented {x}?", "What is the history of {x}?", "Write an essay about {x}.",
    "Where can I find {x}?", "How much is {x}?", "Do you like {x}?", "When was {x} made?", "Help me with {x}.",
    "What is the best {x}?", "Give me facts about {x}.", "Is {x} good?", "Who is {x}?", "how old is {x}",
    "What is the capital of {x}?", "What is the weather in {x}?", "How far is {x}?", "Translate {x}.", "Summarize {x}.",
)  # fmt: skip
UNKNOWN_THINGS: tuple[str, ...] = tuple(
    "France|Japan|Brazil|Germany|Paris|London|Berlin|Tokyo|the moon|the sun|the sea|gravity|quantum physics|history|"
    "music|art|love|life|money|the news|the weather|football|chess|cooking|pizza|coffee|tea|bread|a car|a train|a dog|"
    "a cat|a horse|the president|Einstein|Newton|Shakespeare|Mozart|the internet|a database|Linux|Rust|Java|a compiler|"
    "machine learning|attention|a transformer|mathematics|two plus two|12 times 7|the square root of 9|pi|"
    "a prime number|"
    "a book|a film|my homework|my job|my mother|medicine|a vaccine|the stock market|the election|the world cup|climate|"
    "a computer|a phone|a tree|a flower|the brain|the heart|water|fire|electricity|light|time|space|Mars|"
    "philosophy".split("|")
)
