print("routerd")
