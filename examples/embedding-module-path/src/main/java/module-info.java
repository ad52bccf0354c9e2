/** A named-module program with mor inside. */
module com.example.embedding.modular {
    requires io.mor.runtime;
}
