"""What the page 'See inside' says, in English and Chinese side by side."""

from __future__ import annotations

from demos.said import Said

# fmt: off
TITLE = Said("See inside", "看内部")
ABOUT = Said(
    "What happens between your text and the next token, in the model that answers here.",
    "从你的文本到下一个词元，看看正在作答的这个模型内部发生了什么。")
TASK = Said("Adapter of", "适配器（任务）")
TEXT = Said("Text", "文本")
TEXT_INFO = Said(
    "At most 32 tokens are looked at; of a longer text, its end.", "最多查看 32 个词元；更长的文本只看末尾。")
AS_PROMPT = Said("As the task asks it (its prompt around the text)", "按任务的提示词提问（在文本外加上提示词）")
LOOK = Said("Look inside", "查看")
DROPPED = Said("{count} tokens at the beginning are not shown.", "开头的 {count} 个词元未显示。")
WITH = Said("With the adapter", "启用适配器")
WITHOUT = Said("Bare backbone", "仅底座模型")
NEXT = Said("The next token", "下一个词元")
NEXT_ABOUT = Said(
    "The head gives every token of the vocabulary a score, its logit z; the softmax makes probabilities of them.",
    "输出层给词表中的每个词元一个分数（logit z），softmax 把分数变成概率。")
TOKEN = Said("token", "词元")
LOGIT = Said("logit", "logit")
PROBABILITY = Said("probability", "概率")
ATTENTION = Said("Attention", "注意力")
ATTENTION_ABOUT = Said(
    "Each token (a row) takes its new content from the tokens up to itself (the columns): the stronger the "
    "colour, the more. A row sums to 1.",
    "每个词元（行）从它自己及之前的词元（列）取得信息：颜色越深，取得越多。每行之和为 1。")
HEADS = Said("All heads of layer {layer}", "第 {layer} 层的所有注意力头")
HEAD_OF = Said("Layer {layer}, head {head}", "第 {layer} 层，第 {head} 头")
LAYER = Said("Layer", "层")
HEAD = Said("Head", "头")
LAST_ROW = Said("The last token, “{token}”, takes most from {most}.", "最后一个词元“{token}”主要取自 {most}。")
LENS = Said("Logit lens", "Logit 透镜")
LENS_ABOUT = Said(
    "The state after each layer, read as if it were the last: through the final norm and the head. A cell is the "
    "likeliest next token there; the stronger the colour, the surer. The last column is the end of your text.",
    "把每一层之后的状态当作最后一层来读：经过最终归一化与输出层。每格是此处最可能的下一个词元，颜色越深越有把握。最后一列是文本的末尾。")
EMBEDDINGS = Said("embeddings", "词嵌入")
AFTER = Said("layer {layer}", "第 {layer} 层")
SHOW = Said("Seen", "查看")
RISES = Said(
    "“{token}”, what the model says at the end, is the likeliest token from layer {layer} of {layers} on.",
    "模型最终给出的“{token}”，从第 {layer} 层（共 {layers} 层）起就是最可能的词元。")
EXAMPLE = Said("Self-attention with three numbers", "用三个数看懂自注意力")
EXAMPLE_ABOUT = Said(
    "One head, one dimension: every number of the formula can be checked by hand. Change what you like.",
    "一个头、一个维度：公式里的每个数都能手算验证。可以修改输入和权重。")
INPUTS = Said("Inputs x, with commas between", "输入 x，用逗号分隔")
CAUSAL = Said("Causal mask, as in a GPT: nobody looks ahead", "因果掩码（如 GPT）：不能看后面")
POSITION = Said("position", "位置")
QUERY_AT = Said("Position {place}: x = {x}", "位置 {place}：x = {x}")
SCORE = Said("score", "分数")
WEIGHT = Said("weight", "权重")
OUTPUT = Said("output", "输出")
HIDDEN = Said("masked", "已掩盖")
HEATMAP = Said("attention weights of layer {layer}, head {head}", "第 {layer} 层第 {head} 头的注意力权重")
# fmt: on
