/** Models of mor in LangChain4j. */
package io.mor.langchain4j;
