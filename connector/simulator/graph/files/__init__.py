"""Teams, their channels, the drives behind them, and what people share in chats."""
