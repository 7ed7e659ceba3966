"""What keeps the event loop free: programs beside it, the collector, threads that give way, memory that goes back."""
