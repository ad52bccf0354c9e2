package io.mor.langchain4j;

import io.mor.testkit.PackagedModuleContract;
import java.nio.file.Path;

/** The packed jar's descriptor, and its section of docs/modules.md. */
class PackagedModuleIT extends PackagedModuleContract {

    PackagedModuleIT() {
        super(
                "io.mor.langchain4j",
                "mvn -o -q -pl integrations/langchain4j -am verify -Dtest=PackagedModuleIT -Dsurefire.failIfNoSpecifiedTests=false -Dmor.update.golden=true");
    }

    @Override
    protected Path page() {
        return Path.of("../../docs/modules.md");
    }
}
