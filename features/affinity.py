DIMENSIONS = ("category", "brand", "price_band", "daypart", "device")
