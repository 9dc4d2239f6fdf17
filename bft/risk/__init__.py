"""(signal, book, limits) to an order or a denial."""
