package io.mor.langchain4j;

import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.common.AbstractChatModelListenerIT;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import java.util.List;
import org.junit.jupiter.api.extension.ExtendWith;

/** LangChain4j's published contract of listeners. */
@ExtendWith(Chatterbox.class)
class MorChatModelListenerIT extends AbstractChatModelListenerIT {

    @Override
    protected ChatModel createModel(ChatModelListener listener) {
        return with(
                ChatRequestParameters.builder()
                        .temperature(temperature())
                        .topP(topP())
                        .maxOutputTokens(maxTokens())
                        .build(),
                listener);
    }

    private static ChatModel with(ChatRequestParameters parameters, ChatModelListener listener) {
        return Chatterbox.chat()
                .defaultRequestParameters(parameters)
                .listeners(List.of(listener))
                .build();
    }

    @Override
    protected String modelName() {
        return null; // a request cannot name the model, and none does
    }

    @Override
    protected ChatModel createFailingModel(ChatModelListener listener) {
        return with(ChatRequestParameters.builder().temperature(-1.0).build(), listener);
    }

    @Override
    protected Class<? extends Exception> expectedExceptionClass() {
        return InvalidRequestException.class;
    }

    @Override
    protected boolean supportsTools() {
        return false;
    }
}
