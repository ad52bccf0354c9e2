package io.mor.langchain4j;

import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.chat.response.StreamingHandle;
import io.mor.runtime.UsageException;
import io.mor.runtime.experiment.TrainedModel;
import io.mor.runtime.generate.Ending;
import io.mor.runtime.generate.GeneratedToken;
import io.mor.runtime.generate.GenerationListener;
import io.mor.runtime.generate.GenerationRequest;
import io.mor.runtime.generate.GenerationResult;
import io.mor.runtime.generate.GenerationService;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * As {@link MorChatModel}, token by token. A handler is called on one thread of the stream's own and may cancel the stream, after which it hears
 * nothing more; an exception of its own is told to its {@code onError}, and the stream goes on.
 */
public final class MorStreamingChatModel implements StreamingChatModel {

    private final Conversation conversation;
    private final ChatRequestParameters parameters;
    private final List<ChatModelListener> listeners;

    private MorStreamingChatModel(ChatModelBuilder<MorStreamingChatModel> builder) {
        conversation = builder.conversation();
        parameters = builder.parameters();
        listeners = builder.listeners();
    }

    /**
     * What makes one.
     *
     * @param model what answers; it needs a tokenizer
     * @param service made by that model
     */
    public static ChatModelBuilder<MorStreamingChatModel> builder(TrainedModel model, GenerationService service) {
        return new ChatModelBuilder<>(model, service, MorStreamingChatModel::new);
    }

    @Override
    public void doChat(ChatRequest chat, StreamingChatResponseHandler handler) {
        try {
            GenerationRequest request = conversation.request(chat);
            conversation
                    .service()
                    .start(request, new Streaming(request, handler))
                    .result()
                    .exceptionally(failure -> {
                        tell(handler, failure.getCause() == null ? failure : failure.getCause());
                        return null;
                    });
        } catch (UsageException wrong) {
            tell(handler, Conversation.invalid(wrong));
        } catch (RuntimeException refused) {
            tell(handler, refused);
        }
    }

    private static void tell(StreamingChatResponseHandler handler, Throwable error) {
        try {
            handler.onError(error);
        } catch (RuntimeException ofTheHandler) {
            // there is nobody left to tell
        }
    }

    private final class Streaming implements GenerationListener, StreamingHandle {
        private final GenerationRequest request;
        private final StreamingChatResponseHandler handler;
        private final AtomicBoolean cancelled = new AtomicBoolean();

        Streaming(GenerationRequest request, StreamingChatResponseHandler handler) {
            this.request = request;
            this.handler = handler;
        }

        private void guarded(Runnable call) {
            try {
                call.run();
            } catch (RuntimeException ofTheHandler) {
                tell(handler, ofTheHandler);
            }
        }

        @Override
        public void token(GeneratedToken token) {
            if (!token.text().isEmpty() && !cancelled.get()) {
                guarded(() ->
                        handler.onPartialResponse(new PartialResponse(token.text()), new PartialResponseContext(this)));
            }
        }

        @Override
        public void finished(int sequence, GenerationResult result) {
            if (result.ending() != Ending.CANCELLED && !cancelled.get()) {
                guarded(() -> handler.onCompleteResponse(conversation.response(request, result)));
            }
        }

        @Override
        public boolean isCancelled(int sequence) {
            return cancelled.get();
        }

        @Override
        public boolean isCancelled() {
            return cancelled.get();
        }

        @Override
        public void cancel() {
            cancelled.set(true);
        }
    }

    @Override
    public ChatRequestParameters defaultRequestParameters() {
        return parameters;
    }

    @Override
    public List<ChatModelListener> listeners() {
        return listeners;
    }
}
