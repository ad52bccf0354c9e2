module host {
    requires io.mor.runtime;
    requires java.logging;
}
