/**
 * A model trained with mor as a chat model of LangChain4j.
 *
 * <p>Exports {@code io.mor.langchain4j}; opens nothing. LangChain4j has no descriptor, so it is named as its file is.
 */
module io.mor.langchain4j {
    requires transitive io.mor.runtime;
    requires transitive langchain4j.core;

    exports io.mor.langchain4j;
}
