package io.mor.langchain4j;

import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.Content;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.UnsupportedFeatureException;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * How a conversation is written down as text, which is all that a language model reads. It must be the way in which the model's training text was
 * written. A prompt is the messages one after the other, then the beginning of the assistant's.
 *
 * @param system around what the system says
 * @param user around what the user says
 * @param assistant around what the assistant says
 * @param stopTexts texts at which the assistant's message is over; not part of it
 */
public record ChatTemplate(Frame system, Frame user, Frame assistant, List<String> stopTexts) {

    /**
     * What stands around a message.
     *
     * @param before in front of it
     * @param after behind it
     */
    public record Frame(String before, String after) {}

    /** Copies the list. */
    public ChatTemplate {
        stopTexts = List.copyOf(stopTexts);
    }

    /** A line for each message that begins with {@code System:}, {@code User:} or {@code Assistant:}. */
    public static ChatTemplate lines() {
        return new ChatTemplate(
                new Frame("System: ", "\n"),
                new Frame("User: ", "\n"),
                new Frame("Assistant: ", "\n"),
                List.of("\nUser:", "\nSystem:", "\nAssistant:"));
    }

    /** ChatML: {@code <|im_start|>user}, a line end, the message, {@code <|im_end|>}. */
    public static ChatTemplate chatMl() {
        String end = "<|im_end|>";
        return new ChatTemplate(
                new Frame("<|im_start|>system\n", end + "\n"),
                new Frame("<|im_start|>user\n", end + "\n"),
                new Frame("<|im_start|>assistant\n", end + "\n"),
                List.of(end));
    }

    /**
     * The prompt for the assistant's next message.
     *
     * @throws UnsupportedFeatureException if a message is more than text
     */
    public String prompt(List<ChatMessage> messages) {
        StringBuilder prompt = new StringBuilder();
        for (ChatMessage message : messages) {
            Frame frame = switch (message) {
                case SystemMessage said -> system;
                case UserMessage said -> user;
                case AiMessage said -> assistant;
                default -> throw unsupported("message of type " + message.type());
            };
            prompt.append(frame.before).append(text(message)).append(frame.after);
        }
        return prompt.append(assistant.before).toString();
    }

    private static String text(ChatMessage message) {
        return switch (message) {
            case SystemMessage said -> said.text();
            case UserMessage said ->
                said.contents().stream().map(ChatTemplate::text).collect(Collectors.joining("\n"));
            case AiMessage said -> {
                if (said.hasToolExecutionRequests()) {
                    throw unsupported("a message that calls tools");
                }
                yield said.text() == null ? "" : said.text();
            }
            default -> throw unsupported("message of type " + message.type());
        };
    }

    private static String text(Content content) {
        if (content instanceof TextContent text) {
            return text.text();
        }
        throw unsupported("content of type " + content.type().toString().toLowerCase(Locale.ROOT));
    }

    private static UnsupportedFeatureException unsupported(String what) {
        return new UnsupportedFeatureException(what + " is not supported by mor: a language model reads text");
    }
}
