// The main program of every wall: what matters is that it links (meson.build, "A floor's wall").
int main() { return 0; }
