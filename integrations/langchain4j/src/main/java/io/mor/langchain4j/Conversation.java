package io.mor.langchain4j;

import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.TokenUsage;
import io.mor.runtime.UsageException;
import io.mor.runtime.experiment.TrainedModel;
import io.mor.runtime.generate.GenerationRequest;
import io.mor.runtime.generate.GenerationResult;
import io.mor.runtime.generate.GenerationService;
import java.util.UUID;

/** LangChain4j's requests and responses in mor's words. */
record Conversation(TrainedModel model, GenerationService service, ChatTemplate template) {

    /**
     * What to generate.
     *
     * @throws UnsupportedFeatureException if it asks for what a plain language model cannot do
     * @throws InvalidRequestException if it does not fit the model
     */
    GenerationRequest request(ChatRequest chat) {
        ChatRequestParameters parameters = chat.parameters();
        check(parameters);
        String prompt = template.prompt(chat.messages());
        try {
            GenerationRequest.Builder request = model.request(prompt);
            if (parameters.maxOutputTokens() != null) {
                int fitting = model.config().model().shape().context() - model.promptIds(prompt).length + 1;
                request.maxTokens(Math.clamp(fitting, 1, parameters.maxOutputTokens()));
            }
            if (parameters.temperature() != null) {
                request.temperature(parameters.temperature());
            }
            if (parameters.topK() != null) {
                request.topK(parameters.topK());
            }
            if (parameters.topP() != null) {
                request.topP(parameters.topP());
            }
            request.stopStrings(template.stopTexts().toArray(String[]::new));
            request.stopStrings(parameters.stopSequences().toArray(String[]::new));
            return request.build();
        } catch (UsageException wrong) {
            throw invalid(wrong);
        }
    }

    /** As LangChain4j calls what mor refuses. */
    static InvalidRequestException invalid(UsageException wrong) {
        return new InvalidRequestException(wrong.getMessage(), wrong);
    }

    /** Refuses what would be ignored. */
    static void check(ChatRequestParameters parameters) {
        refuseIf(parameters.modelName() != null, "parameter modelName: a model is loaded from its run, it");
        refuseIf(parameters.frequencyPenalty() != null, "parameter frequencyPenalty");
        refuseIf(parameters.presencePenalty() != null, "parameter presencePenalty");
        refuseIf(
                parameters.toolChoice() != null && parameters.toolChoice() != ToolChoice.AUTO,
                "ToolChoice." + parameters.toolChoice());
        refuseIf(
                parameters.toolSpecifications() != null
                        && !parameters.toolSpecifications().isEmpty(),
                "a tool");
        refuseIf(
                parameters.responseFormat() != null
                        && parameters.responseFormat().type() == ResponseFormatType.JSON,
                "JSON response format");
    }

    private static void refuseIf(boolean asked, String what) {
        if (asked) {
            throw new UnsupportedFeatureException(what + " is not supported by mor");
        }
    }

    ChatResponse response(GenerationRequest request, GenerationResult result) {
        FinishReason reason = switch (result.ending()) {
            case STOP_TOKEN, STOP_STRING -> FinishReason.STOP;
            case MAX_TOKENS, CONTEXT_FULL -> FinishReason.LENGTH;
            case CANCELLED -> FinishReason.OTHER;
        };
        return ChatResponse.builder()
                .id(UUID.randomUUID().toString())
                .modelName(model.config().name())
                .aiMessage(AiMessage.from(result.text()))
                .tokenUsage(new TokenUsage(request.prompt().size(), result.ids().size()))
                .finishReason(reason)
                .build();
    }
}
