package io.mor.langchain4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.output.FinishReason;
import io.mor.runtime.experiment.TrainedModel;
import io.mor.runtime.generate.GenerationService;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** What LangChain4j's contracts do not ask. */
@ExtendWith(Chatterbox.class)
class ChatModelsTest {

    @Test
    void aConversationIsWrittenDownAsTheTemplateSays() {
        List<dev.langchain4j.data.message.ChatMessage> messages = List.of(
                SystemMessage.from("be kind"),
                UserMessage.from("hi"),
                AiMessage.from("hello"),
                UserMessage.from("bye"));
        assertEquals(
                "System: be kind\nUser: hi\nAssistant: hello\nUser: bye\nAssistant: ",
                ChatTemplate.lines().prompt(messages));
        assertEquals(
                "<|im_start|>system\nbe kind<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nhello<|im_end|>\n"
                        + "<|im_start|>user\nbye<|im_end|>\n<|im_start|>assistant\n",
                ChatTemplate.chatMl().prompt(messages));
    }

    @Test
    void aTrainedModelAnswers() {
        TrainedModel model = Chatterbox.model();
        try (GenerationService service = model.service(8)) {
            MorChatModel chat = MorChatModel.builder(model, service)
                    .template(ChatTemplate.lines())
                    .defaultRequestParameters(
                            ChatRequestParameters.builder().maxOutputTokens(40).build())
                    .build();
            String answer = chat.chat("What is the capital of Germany?");
            assertEquals("Berlin, of course.", answer);
        }
    }

    @Test
    void aConversationLongerThanTheContextIsRefusedWithTheNumbers() {
        String long200 = "long ".repeat(40);
        InvalidRequestException refused = assertThrows(
                InvalidRequestException.class, () -> Chatterbox.chat().build().chat(long200));
        assertTrue(refused.getMessage().contains("context 160"), refused.getMessage());
    }

    @Test
    void anAnswerThatDoesNotFitTheContextIsCut() {
        int room = Chatterbox.model().config().model().shape().context()
                - ChatTemplate.lines().prompt(List.of(UserMessage.from(""))).length();
        ChatRequest request = ChatRequest.builder()
                .messages(UserMessage.from("x".repeat(room - 2)))
                .maxOutputTokens(50)
                .build();
        ChatResponse response = Chatterbox.chat().build().chat(request);
        assertEquals(FinishReason.LENGTH, response.finishReason());
        assertEquals(3, response.tokenUsage().outputTokenCount());
    }

    @Test
    void aCancelledStreamSaysNothingMore() throws InterruptedException {
        AtomicInteger pieces = new AtomicInteger();
        AtomicInteger ends = new AtomicInteger();
        CountDownLatch cancelled = new CountDownLatch(1);
        try (GenerationService service = Chatterbox.model().service(1)) {
            MorStreamingChatModel.builder(Chatterbox.model(), service)
                    .build()
                    .chat("Tell me a long story about animals", new StreamingChatResponseHandler() {
                        @Override
                        public void onPartialResponse(PartialResponse piece, PartialResponseContext context) {
                            if (pieces.incrementAndGet() == 5) {
                                context.streamingHandle().cancel();
                                cancelled.countDown();
                            }
                        }

                        @Override
                        public void onCompleteResponse(ChatResponse response) {
                            ends.incrementAndGet();
                        }

                        @Override
                        public void onError(Throwable error) {
                            ends.incrementAndGet();
                        }
                    });
            assertTrue(cancelled.await(30, TimeUnit.SECONDS));
            service.generate(
                    Chatterbox.model().request("User: hello\n").maxTokens(5).build()); // its turn comes after
        }
        assertEquals(5, pieces.get());
        assertEquals(0, ends.get());
    }

    @Test
    void aStreamThatCannotBeginIsAnErrorOfTheHandler() {
        CompletableFuture<Throwable> failure = new CompletableFuture<>();
        Chatterbox.streaming().build().chat("long ".repeat(40), new StreamingChatResponseHandler() {
            @Override
            public void onCompleteResponse(ChatResponse response) {
                failure.completeExceptionally(new AssertionError(response));
            }

            @Override
            public void onError(Throwable error) {
                failure.complete(error);
            }
        });
        assertTrue(
                failure.join() instanceof InvalidRequestException,
                failure.join().toString());
    }

    @Test
    void manyAskAtOnceAndEachGetsItsAnswer() {
        MorChatModel model = Chatterbox.chat().build();
        List<CompletableFuture<String>> answers = java.util.stream.IntStream.range(0, 12)
                .mapToObj(i -> model.chatAsync(i % 2 == 0 ? "hello" : "What is the capital of Germany?"))
                .toList();
        for (int i = 0; i < answers.size(); i++) {
            String answer = answers.get(i).join();
            assertTrue(answer.contains(i % 2 == 0 ? "Hello" : "Berlin"), answer);
            assertFalse(answer.contains("User"), answer);
        }
    }
}
