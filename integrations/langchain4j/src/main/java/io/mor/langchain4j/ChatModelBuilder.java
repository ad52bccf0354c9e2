package io.mor.langchain4j;

import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.request.DefaultChatRequestParameters;
import io.mor.runtime.experiment.TrainedModel;
import io.mor.runtime.generate.GenerationService;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;

/**
 * What a chat model of mor is made of. One thread.
 *
 * @param <M> the chat model
 */
public final class ChatModelBuilder<M> {

    private final TrainedModel model;
    private final GenerationService service;
    private final Function<ChatModelBuilder<M>, M> make;
    private ChatTemplate template = ChatTemplate.lines();
    private ChatRequestParameters parameters = DefaultChatRequestParameters.EMPTY;
    private List<ChatModelListener> listeners = List.of();

    ChatModelBuilder(TrainedModel model, GenerationService service, Function<ChatModelBuilder<M>, M> make) {
        this.model = Objects.requireNonNull(model, "model is null");
        this.service = Objects.requireNonNull(service, "service is null");
        this.make = make;
    }

    /** How conversations are written down; {@link ChatTemplate#lines} by default. */
    public ChatModelBuilder<M> template(ChatTemplate value) {
        template = Objects.requireNonNull(value, "template is null");
        return this;
    }

    /** What a request gets that does not say otherwise; what neither says comes from the {@code generation} section of the model's config. */
    public ChatModelBuilder<M> defaultRequestParameters(ChatRequestParameters value) {
        parameters = DefaultChatRequestParameters.EMPTY.overrideWith(value);
        return this;
    }

    /** Who is told of requests, responses and errors. */
    public ChatModelBuilder<M> listeners(List<ChatModelListener> value) {
        listeners = List.copyOf(value);
        return this;
    }

    /**
     * The chat model.
     *
     * @throws dev.langchain4j.exception.UnsupportedFeatureException if the default parameters ask for what mor cannot do
     */
    public M build() {
        Conversation.check(parameters);
        return make.apply(this);
    }

    Conversation conversation() {
        return new Conversation(model, service, template);
    }

    ChatRequestParameters parameters() {
        return parameters;
    }

    List<ChatModelListener> listeners() {
        return listeners;
    }
}
