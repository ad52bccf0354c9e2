package io.mor.langchain4j;

import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.response.ChatResponse;
import io.mor.runtime.UsageException;
import io.mor.runtime.experiment.TrainedModel;
import io.mor.runtime.generate.GenerationListener;
import io.mor.runtime.generate.GenerationRequest;
import io.mor.runtime.generate.GenerationService;
import io.mor.runtime.generate.GenerationStream;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * A trained model as a chat model of LangChain4j. Text only: tools, JSON formats and images are refused, not ignored. Answers that do not fit the
 * model's context are cut and finish with {@code LENGTH}.
 *
 * <p>Lifetime: uses the model and the service, which whoever made them closes. Thread safety: any number of threads; they share the steps of the
 * service's batch.
 */
public final class MorChatModel implements ChatModel {

    private final Conversation conversation;
    private final ChatRequestParameters parameters;
    private final List<ChatModelListener> listeners;

    private MorChatModel(ChatModelBuilder<MorChatModel> builder) {
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
    public static ChatModelBuilder<MorChatModel> builder(TrainedModel model, GenerationService service) {
        return new ChatModelBuilder<>(model, service, MorChatModel::new);
    }

    @Override
    public ChatResponse doChat(ChatRequest chat) {
        GenerationRequest request = conversation.request(chat);
        try {
            return conversation.response(request, conversation.service().generate(request));
        } catch (UsageException wrong) {
            throw Conversation.invalid(wrong);
        }
    }

    @Override
    public CompletableFuture<ChatResponse> doChatAsync(ChatRequest chat) {
        GenerationRequest request = conversation.request(chat);
        GenerationStream stream = start(request);
        CompletableFuture<ChatResponse> response =
                stream.result().thenApply(result -> conversation.response(request, result));
        response.whenComplete((answer, failure) -> {
            if (response.isCancelled()) {
                stream.cancel();
            }
        });
        return response;
    }

    private GenerationStream start(GenerationRequest request) {
        try {
            return conversation.service().start(request, GenerationListener.NONE);
        } catch (UsageException wrong) {
            throw Conversation.invalid(wrong);
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
